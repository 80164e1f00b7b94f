#include "models/text/corpus.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <stdio.h>

static ReelStatus parse(const char *tsv)
{
    ModelCorpus corpus;
    ReelStatus status = model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv), NULL);
    if (reel_status_is_ok(&status))
        model_corpus_free(&corpus);
    return status;
}

static void check_text(const ModelCorpus *corpus, int64_t row, const char *text)
{
    ck_assert_uint_eq(corpus->texts[row].length, strlen(text));
    ck_assert_mem_eq(corpus->texts[row].bytes, text, strlen(text));
}

START_TEST(columns_may_stand_anywhere)
{
    ModelCorpus corpus = text_support_corpus("id\tlabels\tmore\ttext\n1\tb, a\t\tone text\n2\ta\tx\t\n");
    ck_assert_int_eq(corpus.rows, 2);
    check_text(&corpus, 0, "one text");
    check_text(&corpus, 1, "");
    ck_assert_int_eq(corpus.label_offsets[1], 2);
    ck_assert_int_eq(corpus.label_offsets[2], 3);
    model_corpus_free(&corpus);
}
END_TEST

/* scikit-learn 1.9.1: MultiLabelBinarizer().fit_transform() of the same labels. */
START_TEST(labels_are_those_of_multi_label_binarizer)
{
    static const char *const classes[] = {"Z", "a",        "a b",          "b",
                                          "z", "\xC3\xA9", "\xEF\xBF\xBF", "\xF0\x9D\x84\x9E"};
    static const int32_t labels[] = {1, 3, 0, 5, 1, 2, 1, 4, 6, 7}; /* row after row, ascending */
    static const int64_t offsets[] = {0, 2, 4, 6, 10};
    ModelCorpus corpus = text_support_corpus("text\tlabels\nx\tb, a\nx\tZ, \xC3\xA9\nx\ta b, a, a b\n"
                                             "x\ta, z, \xF0\x9D\x84\x9E, \xEF\xBF\xBF");
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 8);
    for (int k = 0; k < 8; k++)
        ck_assert_str_eq(model_string_table_text(&corpus.classes, k), classes[k]);
    ck_assert_int_eq(corpus.rows, 4);
    ck_assert_mem_eq(corpus.label_offsets, offsets, sizeof offsets);
    ck_assert_mem_eq(corpus.labels, labels, sizeof labels);
    model_corpus_free(&corpus);
}
END_TEST

/* A row of very many labels, each of them twice, costs no more than many rows. */
START_TEST(a_row_may_have_many_labels)
{
    enum { MANY = 50000 };
    size_t size = 0;
    char *tsv = reel_mem_alloc(2 * MANY * 10 + 100);
    size += (size_t)sprintf(tsv, "text\tlabels\nx\ty");
    for (int i = 0; i < 2 * MANY; i++)
        size += (size_t)sprintf(tsv + size, ", %d", 100000 + i * 7 % MANY);
    ModelCorpus corpus;
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", tsv, size, NULL));
    ck_assert_int_eq(model_corpus_num_classes(&corpus), MANY + 1);
    ck_assert_int_eq(corpus.label_offsets[1], MANY + 1);
    for (int i = 0; i <= MANY; i++)
        ck_assert_int_eq(corpus.labels[i], i);
    reel_mem_free(tsv);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(a_comma_without_a_space_separates_nothing)
{
    ModelCorpus corpus = text_support_corpus("text\tlabels\nx\ta,b\ny\ta,  c \n");
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 3);
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 1), "a,b");
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 2), "c");
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(line_ends_do_not_matter)
{
    static const char *const files[] = {"text\tlabels\none\ta\ntwo\tb\n",
                                        "text\tlabels\r\none\ta\r\ntwo\tb\r\n",
                                        "text\tlabels\none\ta\ntwo\tb",
                                        "text\tlabels\r\none\ta\r\n\r\ntwo\tb\r\n\r\n",
                                        "\xEF\xBB\xBFtext\tlabels\none\ta\ntwo\tb",
                                        "\n\ntext\tlabels\n\none\ta\ntwo\tb\n\n"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ModelCorpus corpus = text_support_corpus(files[i]);
        ck_assert_int_eq(corpus.rows, 2);
        check_text(&corpus, 0, "one");
        check_text(&corpus, 1, "two");
        ck_assert_str_eq(model_string_table_text(&corpus.classes, 0), "a");
        ck_assert_str_eq(model_string_table_text(&corpus.classes, 1), "b");
        model_corpus_free(&corpus);
    }
}
END_TEST

START_TEST(a_file_is_read_and_hashed)
{
    const char *tsv = "text\tlabels\none\ta\ntwo\tb\n";
    ModelCorpus corpus;
    ck_assert_ok(model_corpus_read(&corpus, text_support_file(tsv, strlen(tsv)), NULL));
    ck_assert_int_eq(corpus.rows, 2);
    ck_assert_str_eq(corpus.hash, "d63fc70a"); /* zlib.crc32() of the bytes */
    model_corpus_free(&corpus);
    ck_assert_ok(model_corpus_read(&corpus, TEXT_SUPPORT_DEBIAN, NULL));
    ck_assert_int_eq(corpus.rows, 120);
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 47);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(files_that_are_none)
{
    ModelCorpus corpus;
    ck_assert_failed(model_corpus_read(&corpus, "no/such.tsv", NULL), REEL_STATUS_FAILED,
                     "no/such.tsv: cannot read");
    ck_assert_failed(model_corpus_read(&corpus, "tests", NULL), REEL_STATUS_FAILED, "tests: is a directory");
    ck_assert_failed(model_corpus_read(&corpus, "/dev/zero", NULL), REEL_STATUS_FAILED,
                     "neither a file nor a pipe");
    ck_assert_failed(model_corpus_read(&corpus, text_support_file("", 0), NULL), REEL_STATUS_FAILED,
                     "is empty");
    ck_assert_failed(model_corpus_parse(&corpus, "x.tsv", "", 0, NULL), REEL_STATUS_FAILED, "x.tsv: ");
    ck_assert_ptr_null(corpus.texts);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(headers_without_the_columns)
{
    ck_assert_failed(
        parse("text\tlbl\nx\ta\n"), REEL_STATUS_FAILED,
        "x.tsv:1: the header has no column 'labels'; name one with --labels, or columns of 0 and 1 "
        "with --label-columns: there are 'text', 'lbl'");
    ck_assert_failed(parse("labels\nx\n"), REEL_STATUS_FAILED, "x.tsv:1: the header has no column 'text'");
    ck_assert_failed(parse("text,labels\nx,a\n"), REEL_STATUS_FAILED, "separated by a tab");
    ck_assert_failed(parse("text\tlabels\ttext\nx\ta\ty\n"), REEL_STATUS_FAILED, "'text' twice");
    ck_assert_failed(parse("\n"), REEL_STATUS_FAILED, "has no rows");
    ck_assert_failed(parse("text\tlabels\n"), REEL_STATUS_FAILED, "x.tsv:2: there are no rows");
    ck_assert_ok(parse("text\tid\tid\tlabels\nx\t1\t2\ta\n")); /* of columns that nobody asks for */
}
END_TEST

/* ---- Other formats ---- */

static ModelCorpus read(const char *name, const char *bytes, const ModelColumnNames *names)
{
    ModelCorpus corpus;
    ModelCorpusOptions options = {.columns = names ? *names : (ModelColumnNames){0}};
    ck_assert_ok(model_corpus_parse(&corpus, name, bytes, strlen(bytes), &options));
    return corpus;
}

static ReelStatus refuse(const char *name, const char *bytes, const ModelColumnNames *names)
{
    ModelCorpus corpus;
    ModelCorpusOptions options = {.columns = names ? *names : (ModelColumnNames){0}};
    ReelStatus status = model_corpus_parse(&corpus, name, bytes, strlen(bytes), &options);
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    return status;
}

/* The labels of a row as 'a b'. */
static void check_labels(const ModelCorpus *corpus, int64_t row, const char *expected)
{
    char text[200] = "";
    for (int64_t i = corpus->label_offsets[row]; i < corpus->label_offsets[row + 1]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? " " : "",
                 model_string_table_text(&corpus->classes, corpus->labels[i]));
    ck_assert_str_eq(text, expected);
}

/* The same three rows in each format come to the same corpus. */
START_TEST(all_formats_say_the_same)
{
    static const struct {
        const char *name, *bytes, *form;
    } files[] = {
        {"x.tsv", "text\tlabels\n\"say \"\"hello\"\"\nthere\"\ta, b\nplain text\t\nlast\tb\n",
         "TSV, text in 'text', labels in 'labels'"},
        {"x.csv", "Label,Body\r\n\"a, b\",\"say \"\"hello\"\"\nthere\"\r\n,plain text\r\nb,last",
         "CSV, text in 'Body', labels in 'Label'"},
        {"x", "text;tags\n\"say \"\"hello\"\"\nthere\";a, b\nplain text;\nlast;b\n",
         "CSV with ';', text in 'text', labels in 'tags'"},
        {"x.csv", "\xEF\xBB\xBFtext|class\n\"say \"\"hello\"\"\nthere\"|\"a, b\"\nplain text|\"\"\nlast|b",
         "CSV with '|', text in 'text', labels in 'class'"},
        {"x.jsonl",
         "{\"text\": \"say \\\"hello\\\"\\nthere\", \"labels\": [\"a\", \"b\"]}\n\n"
         "{\"labels\": [], \"text\": \"plain text\"}\r\n{\"text\": \"l\\u0061st\", \"labels\": [\"b\"], "
         "\"n\": 1}",
         "JSON lines, text in 'text', labels in 'labels'"},
        {"x",
         "{\"text\": \"say \\\"hello\\\"\\nthere\", \"category\": {\"a\": 1, \"b\": true, \"c\": 0}}\n"
         "{\"category\": null, \"text\": \"plain text\"}\n{\"text\": \"last\", \"category\": \"b\"}\n",
         "JSON lines, text in 'text', labels in 'category'"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        ModelCorpus corpus = read(files[i].name, files[i].bytes, NULL);
        ck_assert_int_eq(corpus.rows, 3);
        check_text(&corpus, 0, "say \"hello\"\nthere");
        check_text(&corpus, 1, "plain text");
        check_text(&corpus, 2, "last");
        check_labels(&corpus, 0, "a b");
        check_labels(&corpus, 1, "");
        check_labels(&corpus, 2, "b");
        ck_assert_str_eq(corpus.form, files[i].form);
        ck_assert_int_eq(corpus.unlabelled, 1);
        model_corpus_free(&corpus);
    }
}
END_TEST

START_TEST(fasttext_s_format)
{
    ModelCorpus corpus = read("x.txt",
                              "__label__b __label__a-1  some text, here \n\nno label\n__label__a-1\n"
                              "words __label__b between\t__label__a-1 them __label__\n__label__b x",
                              NULL);
    ck_assert_int_eq(corpus.rows, 5);
    ck_assert_str_eq(corpus.form, "fastText's format");
    check_text(&corpus, 0, "some text, here");
    check_text(&corpus, 1, "no label");
    check_text(&corpus, 2, "");
    check_text(&corpus, 3, "words between them __label__");
    check_text(&corpus, 4, "x");
    check_labels(&corpus, 0, "a-1 b");
    check_labels(&corpus, 1, "");
    check_labels(&corpus, 2, "a-1");
    check_labels(&corpus, 3, "a-1 b");
    ck_assert_str_eq(corpus.warning, "");
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(columns_are_named)
{
    const char *csv = "key,title,body,science,sport,n,part,of\n"
                      "7,One,\"two,\nthree\",1,0,4,train,x\n8,Four,five,0.0,1,5,TEST,y\n9,,six,0,0,1,dev,x\n";
    ModelCorpus corpus = read("x.csv", csv,
                              &(ModelColumnNames){.text = "title,body",
                                                  .label_columns = "sport, science",
                                                  .id = "key",
                                                  .split = "part",
                                                  .group = "of"});
    check_text(&corpus, 0, "One two,\nthree");
    check_text(&corpus, 2, " six");
    check_labels(&corpus, 0, "science");
    check_labels(&corpus, 1, "sport");
    check_labels(&corpus, 2, "");
    ck_assert_mem_eq(corpus.parts, ((uint8_t[]){MODEL_PART_TRAIN, MODEL_PART_TEST, MODEL_PART_VALID}), 3);
    ck_assert_mem_eq(corpus.group_of, ((int32_t[]){0, 1, 0}), 3 * sizeof(int32_t));
    ck_assert_str_eq(corpus.form, "CSV, text in 'title' and 'body', labels in 2 columns of 0 and 1");
    ck_assert_str_eq(corpus.warning, "");
    model_corpus_free(&corpus);
    corpus = read("x.csv", csv, &(ModelColumnNames){.text = "body", .label_columns = "*"});
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 2); /* n is 1 once and no column of 0 and 1 */
    check_labels(&corpus, 0, "science");
    check_labels(&corpus, 2, "");
    ck_assert_int_eq(corpus.unlabelled, 1);
    model_corpus_free(&corpus);
    corpus = read("x.csv", "a,\"b\"\"\"\nx,1\n", &(ModelColumnNames){.text = "a", .label_columns = "b\""});
    check_labels(&corpus, 0, "b\"");
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(bad_input_is_named_with_its_line)
{
    static const ModelColumnNames flags = {.label_columns = "a,b"}, others = {.label_columns = "*"};
    static const struct {
        const char *name, *bytes;
        const ModelColumnNames *names;
        const char *part;
    } files[] = {
        {"x.csv", "text,labels\nx,a\n\"two\nlines,b\nmore,c\n", NULL,
         "x.csv:3: a quote opens a field here and never closes"},
        {"x.csv", "text,labels\n\"x\" y,a\n", NULL, "x.csv:2: byte 4 of the line follows a closing quote"},
        {"x.csv", "text,labels\nx,a,b\n", NULL,
         "x.csv:2: the row has 3 fields and the header 2; separate the"},
        {"x.csv", "text,labels\n\"x\ny\",a\nx\n", NULL, "x.csv:4: the row has 1 field and the header 2"},
        {"x.csv", "text,labels,text\nx,a,b\n", NULL, "x.csv:1: the header names the column 'text' twice"},
        {"x.csv", "text,a,b\nx,0,1\ny,2,1\n", &flags, "x.csv:3: the label 'a' is '2'; it must be 0 or 1"},
        {"x.csv", "text,c,b\nx,0,1\n", &flags, "x.csv:1: the header has no column 'a'; name one with"},
        {"x.csv", "text,a,b\nx,0,7\n", &others, "holds 0 and 1 alone"},
        {"x.csv", "text,labels\nx,\"a\nb\"\n", NULL, "x.csv:2: the label 'a' has a tab or a line end"},
        {"x.csv", "comment_text,toxic\nx,1\n", NULL,
         "x.csv:1: the header has no column 'labels'; name one with --labels, or columns of 0 and 1 with "
         "--label-columns: there are 'comment_text', 'toxic'"},
        {"x.jsonl", "{\"text\": \"x\", \"labels\": []}\n{\"text\": \"y", NULL,
         "x.jsonl:2: byte 11: the file ends inside a string; write one whole object a line"},
        {"x.jsonl", "[\n{\"text\": 1}]\n", NULL, "x.jsonl:1: byte 0: "},
        {"x.jsonl", "{\"text\": \"x\", \"labels\": [1]}\n", NULL, "x.jsonl:1: the list of labels holds 1;"},
        {"x.jsonl", "{\"text\": \"x\", \"labels\": {\"a\": 2}}\n", NULL, "x.jsonl:1: the label 'a' is 2; it"},
        {"x.jsonl", "{\"text\": \"x\", \"labels\": [\"a\"]}\n{\"text\": \"x\"}\n", NULL,
         "x.jsonl:2: the object has no 'labels'; write [] where no label applies"},
        {"x.jsonl", "{\"text\": \"x\", \"labels\": [\"a\"]}\n{\"labels\": []}\n", NULL,
         "x.jsonl:2: the object has no text in 'text'"},
        {"x.jsonl", "{\"text\": \"x\", \"text\": \"y\"}\n", NULL,
         "x.jsonl:1: the object has the key 'text' twice"},
        {"x.jsonl", "{\"text\": [\"x\"], \"labels\": [\"a\"]}\n", NULL, "x.jsonl:1: 'text' is no text"},
        {"x.jsonl", "{\"words\": \"x\", \"labels\": [\"a\"]}\n", NULL,
         "x.jsonl:1: the first object has no column 'text'; name one with --text: there are 'words', "
         "'labels'"},
        {"x.jsonl", "\n \n", NULL, "has no rows"},
        {"x.txt", "__label__a x\n__label__b y\n", &others,
         "x.txt: fastText's format has no columns to choose from; leave out --label-columns"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        ck_assert_failed(refuse(files[i].name, files[i].bytes, files[i].names), REEL_STATUS_FAILED,
                         files[i].part);
    ModelColumnNames both = {.labels = "a", .label_columns = "b"}, twice = {.text = "a,a", .labels = "b"};
    ck_assert_failed(refuse("x.csv", "text,a,b\nx,y,1\n", &both), REEL_STATUS_USAGE,
                     "--labels and --label-columns");
    ck_assert_failed(refuse("x.csv", "a,b\nx,y\n", &twice), REEL_STATUS_USAGE, "names a column twice");
    ModelColumnNames parts = {.split = "part"};
    ck_assert_failed(refuse("x.csv", "text,labels,part\nx,y,other\n", &parts), REEL_STATUS_FAILED,
                     "x.csv:2: the column 'part' says 'other'; it must be train, valid or test");
}
END_TEST

START_TEST(rows_with_other_than_the_headers_fields)
{
    ck_assert_failed(parse("text\tlabels\nx\ta\ny\n"), REEL_STATUS_FAILED,
                     "x.tsv:3: the row has 1 field and the header 2");
    ck_assert_failed(parse("text\tlabels\n\nx\ta\tb\ny\tc\n"), REEL_STATUS_FAILED,
                     "x.tsv:3: the row has 3 fields and the header 2");
    ck_assert_failed(parse("text\tlabels\nx\ta\t\n"), REEL_STATUS_FAILED, "x.tsv:2: the row has 3 fields");
}
END_TEST

START_TEST(rows_without_labels_are_kept_and_counted)
{
    ModelCorpus corpus = text_support_corpus("text\tlabels\nx\t\ny\tb, a\nz\t \r\nw\ta\nv\t");
    ck_assert_int_eq(corpus.rows, 5);
    ck_assert_int_eq(corpus.unlabelled, 3);
    ck_assert_mem_eq(corpus.label_offsets, ((int64_t[]){0, 0, 2, 2, 3, 3}), 6 * sizeof(int64_t));
    check_text(&corpus, 4, "v");
    model_corpus_free(&corpus);
    corpus = text_support_corpus("text\tlabels\tmore\nx\t\t1\ny\t\t2\n"); /* no label at all */
    ck_assert_int_eq(corpus.unlabelled, 2);
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 0);
    model_corpus_free(&corpus);
    ck_assert_failed(parse("text\tlabels\nx\t\ny\n"), REEL_STATUS_FAILED, "x.tsv:3: the row has 1 field");
}
END_TEST

START_TEST(empty_labels_are_none)
{
    ck_assert_failed(parse("text\tlabels\nx\ta, , b\n"), REEL_STATUS_FAILED,
                     "x.tsv:2: the row has an empty label");
    ck_assert_failed(parse("text\tlabels\nx\ta, \ny\tb\n"), REEL_STATUS_FAILED,
                     "x.tsv:2: the row has an empty label"); /* and not one named "a," */
    ck_assert_failed(parse("labels\ttext\n, a\tx\n"), REEL_STATUS_FAILED,
                     "x.tsv:2: the row has an empty label");
}
END_TEST

static ModelCorpus separated(const char *separator, const char *tsv)
{
    ModelCorpus corpus;
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv),
                                    &(ModelCorpusOptions){.label_separator = separator}));
    ck_assert_str_eq(corpus.label_separator, separator);
    ck_assert_str_eq(corpus.warning, "");
    return corpus;
}

/* Labels that look the same are the same: no-break spaces and what has no width go from their ends. */
START_TEST(spaces_that_are_not_seen_part_no_labels)
{
    ModelCorpus corpus = text_support_corpus("text\tlabels\nx\ta, b c\ny\ta\xC2\xA0,  b c\xE2\x80\x8B\n"
                                             "z\t\xEF\xBB\xBF\xC2\xA0 a, \xC2\xA0"
                                             "b c\n"
                                             "w\tb\xC2\xA0"
                                             "c\n");
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 3); /* within a name they are of it */
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 0), "a");
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 1), "b c");
    ck_assert_int_eq(corpus.label_offsets[3], 6);
    model_corpus_free(&corpus);
    ck_assert_failed(parse("text\tlabels\nx\ta, \xC2\xA0, b\n"), REEL_STATUS_FAILED, "empty label");
}
END_TEST

START_TEST(another_separator_separates)
{
    static const char *const files[][2] = {{",", "text\tlabels\nx\ta,b\ny\t b , c\nz\tc\n"},
                                           {";", "text\tlabels\nx\ta;b\ny\tb; c\nz\tc\n"},
                                           {"|", "text\tlabels\nx\ta|b\ny\tb|c\nz\tc\n"},
                                           {" and ", "text\tlabels\nx\ta and b\ny\tb and c\nz\tc\n"}};
    for (int i = 0; i < 4; i++) {
        ModelCorpus corpus = separated(files[i][0], files[i][1]);
        ck_assert_int_eq(model_corpus_num_classes(&corpus), 3);
        ck_assert_mem_eq(corpus.labels, ((int32_t[]){0, 1, 1, 2, 2}), 5 * sizeof(int32_t));
        model_corpus_free(&corpus);
    }
    ModelCorpus corpus =
        separated("|", "text\tlabels\nx\tScience, Tech & Math\ny\tArts|Science, Tech & Math\n");
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 2);
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 1), "Science, Tech & Math");
    model_corpus_free(&corpus);
    const char *tsv = "text\tlabels\nx\ta||b\n";
    ck_assert_failed(
        model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv), &(ModelCorpusOptions){.label_separator = "|"}),
        REEL_STATUS_FAILED, "x.tsv:2: the row has an empty label; write the labels as 'one|two'");
    static const char *const bad[] = {"", "\t", "a\nb", "\"", "\xFF", "0123456789 0123456789 0123456789"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_failed(model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv),
                                            &(ModelCorpusOptions){.label_separator = bad[i]}),
                         REEL_STATUS_USAGE, "a separator of labels is");
}
END_TEST

START_TEST(labels_that_differ_in_case_alone_are_noticed)
{
    ModelCorpus corpus = text_support_corpus("text\tlabels\nx\tNews, sport\ny\tnews\n");
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 3);
    ck_assert_str_eq(corpus.warning, "test.tsv: the labels 'News' and 'news' differ in upper and lower case "
                                     "alone and count as two; write them alike if they are one");
    model_corpus_free(&corpus);
    corpus = text_support_corpus("text\tlabels\nx\tnew, news\ny\tnews\n");
    ck_assert_str_eq(corpus.warning, "");
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(labels_that_look_like_several_are_noticed)
{
    static const char *const files[][2] = {
        {"text\tlabels\nx\ta\ny\ta,b\nz\tc,d\n",
         "test.tsv:3: 'a,b' is one label and looks like several (2 rows are so); where it is, say what "
         "separates them: --label-separator ','; where it is not: --label-separator ', '"},
        {"text\tlabels\nx\ta, c\ny\ta, b;d\n", "test.tsv:3: 'b;d' is one label"},
        {"text\tlabels\nx\ta\ny\ta; b\n", "--label-separator ';'"},
        {"text\tlabels\nx\ta\ny\ta|b\n", "--label-separator '|'"},
        {"text\tlabels\nx\t['a', 'b']\ny\t['a']\n",
         "test.tsv:2: the labels \"['a', 'b']\" look like a list of Python's or JSON's (2 rows are so); "
         "write "
         "them as 'one, two', or with another separator that --label-separator names"},
        {"text\tlabels\nx\ta\ny\t[\"a\", \"b\"]\n",
         "test.tsv:3: the labels \"[\"a\", \"b\"]\" look like a list"},
        {"text\tlabels\nx\ta\ny\t{'b', 'a'}\n", "look like a list"},
        {"text\tlabels\nx\ta\ny\t('b',)\n", "look like a list"},
        {"text\tlabels\nx\ta\ny\t[]\n", "look like a list"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ModelCorpus corpus = text_support_corpus(files[i][0]);
        ck_assert_msg(strstr(corpus.warning, files[i][1]) != NULL, "'%s' is not in '%s'", files[i][1],
                      corpus.warning);
        model_corpus_free(&corpus);
    }
    /* A long one is shown in whole characters. */
    char tsv[200] = "text\tlabels\nx\ta,";
    for (int i = 0; i < 40; i++)
        strcat(tsv, "\xC3\xA9");
    ModelCorpus corpus = text_support_corpus(tsv);
    ck_assert_ptr_nonnull(strstr(corpus.warning, "\xC3\xA9' is one label"));
    model_corpus_free(&corpus);
    static const char *const fine[] = {"text\tlabels\nx\ta, b\ny\t(none)\n",
                                       "text\tlabels\nx\tuse::a-b/c\ny\ta:b {c}\n"};
    for (int i = 0; i < 2; i++) {
        corpus = text_support_corpus(fine[i]);
        ck_assert_str_eq(corpus.warning, "");
        model_corpus_free(&corpus);
    }
}
END_TEST

/* What Python's csv.writer(delimiter='\t') and DataFrame.to_csv(sep='\t') make, with and without QUOTE_ALL.
 */
START_TEST(quoted_fields_are_what_is_quoted)
{
    ModelCorpus corpus = text_support_corpus("\"text\"\t\"labels\"\r\n\"say \"\"hello\"\" now\"\t\"a, b\"\r\n"
                                             "\"\"\t\"b\"\n\"\"\"\"\tc\nx\t\"\"\n\"a\"\"\"\td");
    static const char *const texts[] = {"say \"hello\" now", "", "\"", "x", "a\""};
    ck_assert_int_eq(corpus.rows, 5);
    for (int i = 0; i < 5; i++)
        check_text(&corpus, i, texts[i]);
    ck_assert_int_eq(model_corpus_num_classes(&corpus), 4);
    ck_assert_int_eq(corpus.unlabelled, 1);
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 0), "a");
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(other_quotes_are_text)
{
    static const char *const texts[] = {
        "\"unclosed", "a 17\" monitor", "\"Foo\" said the CEO", "x \"y\"", "\"a\" \"b\"", "\"\"open",
        "\"a\"\"b",   " \"x\"",         "say \"\"no\"\"",       "\"x\" "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char tsv[100];
        snprintf(tsv, sizeof tsv, "text\tlabels\n%s\ta \"quoted\" one\nmore \"of\" it\tb\n", texts[i]);
        ModelCorpus corpus = text_support_corpus(tsv);
        ck_assert_int_eq(corpus.rows, 2);
        check_text(&corpus, 0, texts[i]);
        ck_assert_str_eq(model_string_table_text(&corpus.classes, 0), "a \"quoted\" one");
        model_corpus_free(&corpus);
    }
}
END_TEST

START_TEST(quoted_fields_may_cross_lines)
{
    static const char *const files[][2] = {
        {"text\tlabels\n\"two\nlines\"\ta\n", "two\nlines"},
        {"text\tlabels\n\"two\r\n\"\"lines\"\"\"\ta\r\n", "two\r\n\"lines\""},
        {"text\tlabels\n\"one\ttwo\"\ta\n", "one\ttwo"},
        {"labels\ttext\na\t\"one\n\ntwo\"", "one\n\ntwo"}};
    for (int i = 0; i < 4; i++) {
        ModelCorpus corpus = text_support_corpus(files[i][0]);
        ck_assert_int_eq(corpus.rows, 1);
        check_text(&corpus, 0, files[i][1]);
        ck_assert_str_eq(corpus.warning, "");
        model_corpus_free(&corpus);
    }
    ck_assert_failed(parse("text\tlabels\n\"two\nlines\"\ta\nx\n"), REEL_STATUS_FAILED,
                     "x.tsv:4: the row has 1 field"); /* lines are counted within fields */
    ModelCorpus corpus = text_support_corpus("text\tlabels\nx\ta\n\"goal\tmatch\nscore league\"\tsport\n");
    ck_assert_int_eq(corpus.rows, 2);
    ck_assert_str_eq(corpus.warning,
                     "test.tsv:3: a quoted field that begins here holds tabs and line ends; where "
                     "it has swallowed rows, take the quote out");
    model_corpus_free(&corpus);
    ck_assert_failed(parse("text\tlabels\nx\t\"a,\nb\""), REEL_STATUS_FAILED,
                     "has a tab or a line end in it");
}
END_TEST

START_TEST(a_cr_ends_no_line)
{
    ck_assert_failed(parse("text\tlabels\rone\ta\rtwo\tb\r"), REEL_STATUS_FAILED,
                     "x.tsv:1: byte 12 of the line is a CR that no LF follows; where lines end in CR alone, "
                     "convert the file, as with `tr '\\r' '\\n'`");
    ck_assert_failed(parse("text\tlabels\none\ta\nt\rwo\tb\n"), REEL_STATUS_FAILED,
                     "x.tsv:3: byte 2 of the line");
    ModelCorpus corpus =
        text_support_corpus("text\tlabels\r\r\none\ta\r\r\ntwo\tb\r\r\n"); /* converted twice */
    check_text(&corpus, 1, "two");
    ck_assert_str_eq(model_string_table_text(&corpus.classes, 1), "b");
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(utf16_is_named)
{
    ModelCorpus corpus;
    ck_assert_failed(model_corpus_parse(&corpus, "x.tsv", "\xFF\xFEt\0e\0", 6, NULL), REEL_STATUS_FAILED,
                     "x.tsv:1: begins with the byte order mark of UTF-16 (FF FE); convert the file");
    ck_assert_failed(model_corpus_read(&corpus, text_support_file("\xFE\xFF\0t\0e", 6), NULL),
                     REEL_STATUS_FAILED, "UTF-16 (FE FF)");
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
    static const char *const bad[] = {
        "\x80",         "\xC0\xAF",         "\xC1\xBF",         "\xC3",
        "\xE0\x9F\xBF", "\xED\xA0\x80",     "\xE2\x82",         "\xF0\x8F\xBF\xBF",
        "\xFF",         "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x28\xA1"};
    char tsv[100];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(tsv, sizeof tsv, "text\tlabels\nsome text of more than eight bytes\ta\nx %s\tb\n", bad[i]);
        ck_assert_failed(parse(tsv), REEL_STATUS_FAILED, "x.tsv:3: byte 3 of the line");
    }
    ck_assert_ok(parse("text\tlabels\n\x7F \xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEF\xBF\xBD\ta\n"
                       "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\tb\n"));
}
END_TEST

START_TEST(nul_bytes_are_found_wherever_they_are)
{
    const char *tsv = "text\tlabels\nsome text\ta\nsome more text\tb\n";
    size_t size = strlen(tsv);
    for (size_t at = 0; at < size; at++) {
        char copy[100];
        memcpy(copy, tsv, size);
        copy[at] = '\0';
        ModelCorpus corpus;
        ck_assert_failed(model_corpus_parse(&corpus, "x.tsv", copy, size, NULL), REEL_STATUS_FAILED, "NUL");
    }
}
END_TEST

/* Whatever the bytes, a corpus or one line that says why not. */
START_TEST(broken_files_never_crash)
{
    const char *tsv = "text\tlabels\tx\r\nsome \xC3\xA9 text\ta, b\t1\nmore\tb\t\nlast\tc\t3";
    size_t size = strlen(tsv);
    uint32_t state = 12345;
    int read = 0;
    for (int round = 0; round < 20000; round++) {
        char copy[100];
        memcpy(copy, tsv, size);
        for (int i = 0; i < 1 + round % 3; i++) {
            state = state * 1664525u + 1013904223u;
            copy[(state >> 8) % size] = "\t\n\r ,a\xC3\xA9\0\xFF\"\""[(state >> 24) % 12];
        }
        ModelCorpus corpus;
        ReelStatus status = model_corpus_parse(&corpus, "x.tsv", copy, size - (size_t)round % size / 2, NULL);
        read += reel_status_is_ok(&status);
        ck_assert(reel_status_is_ok(&status) || strncmp(status.message, "x.tsv:", 6) == 0);
        model_corpus_free(&corpus);
    }
    ck_assert_int_gt(read, 100);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(no_memory_is_a_status)
{
    const char *tsv = "text\tlabels\none\ta, b\ntwo\tb\nthree\tc\n";
    const char *path = text_support_file(tsv, strlen(tsv));
    int failures = 0;
    for (int n = 0;; n++) {
        ModelCorpus corpus;
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_corpus_read(&corpus, path, NULL);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status)) {
            model_corpus_free(&corpus);
            break;
        }
        ck_assert_failed(status, REEL_STATUS_FAILED, "out of memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
        failures++;
    }
    ck_assert_int_gt(failures, 5);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

static void same_corpora(const ModelCorpus *a, const ModelCorpus *b)
{
    ck_assert_int_eq(a->rows, b->rows);
    ck_assert_str_eq(a->hash, b->hash);
    ck_assert_str_eq(a->form, b->form);
    ck_assert_str_eq(a->warning, b->warning);
    ck_assert_int_eq(model_string_table_difference(&a->classes, &b->classes), -1);
    ck_assert_mem_eq(a->label_offsets, b->label_offsets, (size_t)(a->rows + 1) * sizeof *a->label_offsets);
    ck_assert_mem_eq(a->labels, b->labels, (size_t)a->label_offsets[a->rows] * sizeof *a->labels);
    for (int64_t i = 0; i < a->rows; i++) {
        ck_assert_uint_eq(a->texts[i].length, b->texts[i].length);
        ck_assert_mem_eq(a->texts[i].bytes, b->texts[i].bytes, a->texts[i].length);
    }
}

/* However little of a file is in memory at a time. */
START_TEST(windows_leave_no_trace)
{
    static const struct {
        ModelFormat format;
        const char *bytes;
        ModelColumnNames columns;
    } files[] = {
        {MODEL_TSV,
         "\xEF\xBB\xBFtext\tlabels\n\"one\ttwo\nthree\"\ta, b\r\n\n\xC3\xA4 x\tb;c\nlast \"x\t",
         {0}},
        {MODEL_CSV,
         "title,text,a,b\nx,\"he said \"\"no\"\", and\nleft\",0,1\ny,z,1,0\n,\"\",0,0\n",
         {.text = "title,text", .label_columns = "*"}},
        {MODEL_JSONL,
         "{\"text\": \"a \\u00e4\", \"labels\": [\"x\", \"y\"]}\n\n{\"labels\": [], \"text\": \"\\n\", "
         "\"more\": {\"a\": 1}}\n",
         {0}},
        {MODEL_FASTTEXT, "__label__a __label__b some words\nmore __label__c words\n", {0}},
    };
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        ModelCorpusOptions options = {.format = files[f].format, .columns = files[f].columns};
        ModelCorpus whole, part;
        size_t size = strlen(files[f].bytes);
        ck_assert_ok(model_corpus_parse(&whole, "x", files[f].bytes, size, &options));
        for (options.window = 1; options.window <= size + 1; options.window++) {
            ck_assert_ok(model_corpus_parse(&part, "x", files[f].bytes, size, &options));
            same_corpora(&whole, &part);
            model_corpus_free(&part);
        }
        model_corpus_free(&whole);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Errors name the line of the file. */
START_TEST(windows_count_lines)
{
    ModelCorpus corpus;
    ModelCorpusOptions options = {0};
    static const char *const bad[] = {"text\tlabels\na\tb\n\nc\td\n\xE4\tx\n",
                                      "text\tlabels\na\tb\n\nc\td\nonly one\n",
                                      "text\tlabels\na\tb\n\nc\td\ne\tx, , y\n"};
    for (size_t i = 0; i < 3; i++)
        for (options.window = 1; options.window < 40; options.window++)
            ck_assert_failed(model_corpus_parse(&corpus, "x.tsv", bad[i], strlen(bad[i]), &options),
                             REEL_STATUS_FAILED, "x.tsv:5: ");
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

Suite *models_corpus_suite(void);
Suite *models_corpus_suite(void)
{
    Suite *suite = suite_create("models/corpus");
    TCase *tcase = tcase_create("corpus");
    tcase_add_test(tcase, columns_may_stand_anywhere);
    tcase_add_test(tcase, labels_are_those_of_multi_label_binarizer);
    tcase_add_test(tcase, a_row_may_have_many_labels);
    tcase_add_test(tcase, a_comma_without_a_space_separates_nothing);
    tcase_add_test(tcase, line_ends_do_not_matter);
    tcase_add_test(tcase, a_file_is_read_and_hashed);
    tcase_add_test(tcase, files_that_are_none);
    tcase_add_test(tcase, headers_without_the_columns);
    tcase_add_test(tcase, rows_with_other_than_the_headers_fields);
    tcase_add_test(tcase, rows_without_labels_are_kept_and_counted);
    tcase_add_test(tcase, empty_labels_are_none);
    tcase_add_test(tcase, spaces_that_are_not_seen_part_no_labels);
    tcase_add_test(tcase, another_separator_separates);
    tcase_add_test(tcase, labels_that_look_like_several_are_noticed);
    tcase_add_test(tcase, labels_that_differ_in_case_alone_are_noticed);
    tcase_add_test(tcase, quoted_fields_are_what_is_quoted);
    tcase_add_test(tcase, other_quotes_are_text);
    tcase_add_test(tcase, quoted_fields_may_cross_lines);
    tcase_add_test(tcase, all_formats_say_the_same);
    tcase_add_test(tcase, fasttext_s_format);
    tcase_add_test(tcase, columns_are_named);
    tcase_add_test(tcase, bad_input_is_named_with_its_line);
    tcase_add_test(tcase, a_cr_ends_no_line);
    tcase_add_test(tcase, utf16_is_named);
    tcase_add_test(tcase, bytes_that_are_no_text);
    tcase_add_test(tcase, nul_bytes_are_found_wherever_they_are);
    tcase_add_test(tcase, broken_files_never_crash);
    tcase_add_test(tcase, no_memory_is_a_status);
    tcase_add_test(tcase, windows_leave_no_trace);
    tcase_add_test(tcase, windows_count_lines);
    suite_add_tcase(suite, tcase);
    return suite;
}
