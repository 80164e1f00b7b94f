/* What the README and the pages claim: links and paths lead somewhere, commands and their options are there,
 * numbers of parameters are those of the zoo, and scores name the corpus that they belong to. */
#include "models/model.h"
#include "tests/shell_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES "README.md tests/README.md tests/fuzz/README.md docs/*.md docs/notes/*.md"
/* docs/notes is as it was written, and names what is gone. */
#define LIVING_PAGES "README.md tests/README.md docs/*.md"

static void must_say_nothing(const char *command)
{
    shell_must("%s", command);
    ck_assert_str_eq(shell_output(), "");
}

START_TEST(links_lead_somewhere)
{
    must_say_nothing(
        "for page in " PAGES "; do grep -o '](\\([^)]*\\))' $page | sed 's/^](//; s/)$//' | "
        "grep -v '^https*:' | while read -r link; do "
        "file=${link%%#*}; target=$(dirname $page)/$file; [ -n \"$file\" ] || target=$page; "
        "[ -e \"$target\" ] || { echo \"$page: $link\"; continue; }; "
        "case $link in *'#'*) sed -n 's/^##* //p' \"$target\" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\\n-' | "
        "grep -qx -- \"${link#*#}\" || echo \"$page: no heading: $link\";; esac; done; done");
}
END_TEST

/* Files, folders, patterns of them, and suites. */
START_TEST(paths_are_there)
{
    must_say_nothing(
        "for page in " LIVING_PAGES "; do grep -oE "
        "'`(tensor|autograd|nn|models|tools|tests|docs)/[a-z0-9_./*-]*`' $page | tr -d '`' | sort -u | "
        "while read -r path; do ls -d $path >/dev/null 2>&1 || [ -e $REEL_TOOLS/../$path ] || "
        "find tests/${path%%/*} -name \"${path##*/}.c\" | grep -q . || echo \"$page: $path\"; done; done");
}
END_TEST

START_TEST(targets_of_make_are_there)
{
    must_say_nothing("grep -ohE '(^|[`&] *)make( -j2)? [a-z][a-z_./-]*' " LIVING_PAGES
                     " | sed 's/.*make\\( -j2\\)* //' | "
                     "grep -vx gcc | sort -u | while read -r target; do "
                     "grep -qE \"^(.PHONY:.* )?$target( |:|$)\" Makefile || echo \"make $target\"; done");
}
END_TEST

/* Every name in results.json stands in the page's table of it. */
START_TEST(the_names_of_the_results_are_told)
{
    const char *folder = shell_folder();
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models bag --epochs 1 --seeds 2 --valid 0.3 "
        "--ensemble --quiet --out %s/run && grep -o '\"[a-z0-9_]*\":' %s/run/results.json | tr -d '\":' | "
        "sort -u > %s/names && [ $(wc -l < %s/names) -gt 40 ]",
        shell_setting("REEL_TOOLS"), folder, folder, folder, folder);
    shell_must("while read -r name; do sed -n '/^. `results.json`/,/^$/p' docs/command-lines.md | "
               "grep -q \"\\`$name[][]*\\`\" || echo \"not told: $name\"; done < %s/names",
               folder);
    ck_assert_str_eq(shell_output(), "");
    shell_remove_folder(folder);
}
END_TEST

/* The commands of the pages: what begins with tools/PROGRAM in a block of the shell. */
START_TEST(options_are_there)
{
    must_say_nothing(
        "cat " LIVING_PAGES " | sed -n '/^```sh/,/^```/p' | sed 's/  *#.*//' | grep -oE "
        "'(tools/[a-z_]+( (train|encode|decode|info|convert) )?|common=).*' | while read -r line; do "
        "line=$(echo \"$line\" | sed 's/^common=\"/tools\\/train_zoo /'); set -- $line; program=${1#tools/}; "
        "case $program in train_zoo|predict|gradcheck|bench|vectors|lm) command=;; bpe) command=$2;; *) "
        "continue;; "
        "esac; "
        "$REEL_TOOLS/$program $command --help > /tmp/reel-help-$$; "
        "for word in $line; do case $word in --*) name=${word%%=*}; name=${name%\\\"}; "
        "grep -q -- \"^  $name \" /tmp/reel-help-$$ || "
        "grep -q -- \"^  --${name#--no-} \" /tmp/reel-help-$$ || "
        "echo \"$program has no $name\";; esac; done; done; rm -f /tmp/reel-help-$$");
}
END_TEST

START_TEST(packages_are_those_that_are_installed)
{
    must_say_nothing(
        "grep -qF \"\\`$(sed -n 's/^packages=\"\\(.*\\)\"/\\1/p' tools/debian_packages.sh)\\`\" README.md || "
        "echo 'README.md does not name the packages of tools/debian_packages.sh'");
}
END_TEST

/* "1,234" beside the model's name, with 10,538 words and 57 labels. */
START_TEST(parameters_are_those_of_the_zoo)
{
    static const char *const pages[] = {"README.md", "docs/homework.md", "docs/results.md"};
    int found = 0;
    for (int i = 0; i < model_zoo_count(); i++) {
        Model *model;
        ReelStatus status = model_new_without_values(&model, model_zoo_kind(i),
                                                     (ModelConfig){.vocabulary = 10538, .labels = 57});
        ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
        long long count = (long long)model_count(model);
        model_free(model);
        for (size_t page = 0; page < sizeof pages / sizeof pages[0]; page++) {
            shell_must("grep -E '^[|] %s(, 2 layers)? [|]' %s | grep -oE '[0-9]+,[0-9]{3},[0-9]{3}' | head "
                       "-n 1 | tr -d ,",
                       model_zoo_kind(i)->name, pages[page]);
            if (!*shell_output())
                continue;
            ck_assert_msg(atoll(shell_output()) == count, "%s: %s has %lld parameters", pages[page],
                          model_zoo_kind(i)->name, count);
            found++;
        }
    }
    ck_assert_int_gt(found, 10);
}
END_TEST

START_TEST(scores_name_their_corpus)
{
    must_say_nothing(
        "for page in README.md docs/*.md; do grep -qE '0[.][0-9]{3} ± 0[.][0-9]{3} [|]' $page || continue; "
        "grep -qE '`[0-9a-f]{8}`' $page || echo \"$page: of which corpus?\"; done");
    must_say_nothing("grep -c 'hash `fb8b320b`' docs/homework.md docs/results.md | grep ':0' || true");
}
END_TEST

/* Aims and dates are for docs/notes. */
START_TEST(pages_say_what_holds)
{
    must_say_nothing(
        "grep -nEi '[0-9]+ (january|february|march|april|may|june|july|august|september|october|november|"
        "december) 20[0-9]{2}|the aims? |goal' README.md docs/*.md || true");
}
END_TEST

START_TEST(the_readmes_model_compiles)
{
    const char *folder = shell_folder();
    shell_must(
        "sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' > '%s/readme.c' && [ -s '%s/readme.c' ] && "
        "%s -std=gnu17 -Wall -Wextra -Werror -Wno-unused-function -Ibuild/include -fsyntax-only "
        "'%s/readme.c'",
        folder, folder, shell_setting("REEL_CC"), folder);
    shell_remove_folder(folder);
}
END_TEST

/* docs/from-pytorch.md's table of the lines of models are those of the two files. */
START_TEST(the_lines_of_models_are_those_of_the_files)
{
    must_say_nothing(
        "folder=$(mktemp -d) && for kind in c py; do awk -f tests/model_lines.awk $(ls "
        "tools/bench_peers_models.c tools/bench_peers_loop.c tools/pytorch_peers.py | grep \"[.]$kind$\" | "
        "sort -r) "
        "> $folder/$kind; done && "
        "paste -d ' ' $folder/c $folder/py | awk '$1 != $3 { print $1 \" stands beside \" $3 } "
        "{ printf \"| `%s` |.*| %d | %d | %.2f |\\n\", $1, $2, $4, $2 / $4 }' > $folder/rows && "
        "[ $(wc -l < $folder/rows) -ge 14 ] && while read -r row; do "
        "grep -qx -- \"$row\" docs/from-pytorch.md || echo \"not in docs/from-pytorch.md: $row\"; done < "
        "$folder/rows; "
        "rm -r $folder");
}
END_TEST

/* What makes a module of nn/, and what forward is written with, is in the book. */
START_TEST(modules_and_helpers_are_on_a_page)
{
    must_say_nothing("ls nn/*.h | grep -v _internal | xargs grep -ohE "
                     "'^#define nn_[a-z0-9_]+\\(|\\bnn_[a-z0-9_]+_init(_[a-z0-9]+)*\\(' | "
                     "sed 's/#define //; s/(//' | sort -u | grep -v '^nn_snapshot_' | while read -r name; do "
                     "grep -qw \"$name\" docs/*.md || echo \"on no page: $name\"; done");
}
END_TEST

/* Suites are in the folders of what they test. */
START_TEST(suites_are_beside_what_they_test)
{
    must_say_nothing(
        "find tests/tensor tests/autograd tests/nn tests/models tests/tools -type d | sed 's/^tests.//' | "
        "while read -r folder; do [ -d $folder ] || echo \"no folder $folder\"; done");
}
END_TEST

Suite *tools_pages_suite(void);
Suite *tools_pages_suite(void)
{
    Suite *suite = suite_create("tools/pages");
    TCase *tcase = tcase_create("pages");
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, links_lead_somewhere);
    tcase_add_test(tcase, paths_are_there);
    tcase_add_test(tcase, targets_of_make_are_there);
    tcase_add_test(tcase, the_names_of_the_results_are_told);
    tcase_add_test(tcase, options_are_there);
    tcase_add_test(tcase, packages_are_those_that_are_installed);
    tcase_add_test(tcase, parameters_are_those_of_the_zoo);
    tcase_add_test(tcase, scores_name_their_corpus);
    tcase_add_test(tcase, pages_say_what_holds);
    tcase_add_test(tcase, the_readmes_model_compiles);
    tcase_add_test(tcase, the_lines_of_models_are_those_of_the_files);
    tcase_add_test(tcase, modules_and_helpers_are_on_a_page);
    tcase_add_test(tcase, suites_are_beside_what_they_test);
    suite_add_tcase(suite, tcase);
    return suite;
}
