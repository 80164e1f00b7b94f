/* tools/train_zoo: its folder, --resume, signals. What a run writes is tested in tests/models/training/run.c.
 */
#include "nn/nn.h"
#include "tests/shell_support.h"
#include "tests/skip_support.h"
#include "tests/text_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *tools;

/* Compares results.json but for times and memory. */
#define SAME_RESULTS                                                                                         \
    "for f in %s/whole %s/cut; do sed '/\"\\(seconds\\|peak_rss_mb\\)\":/d' $f/results.json > $f/stripped; " \
    "done; cmp %s/whole/stripped %s/cut/stripped"

/* Two models of the shipped corpus, small. Followed by what the test adds. */
#define OPTIONS                                                                                              \
    "--data tests/fixtures/debian_120.tsv --models rnn,attention --epochs 2 --batch 16 --embed 8 --hidden "  \
    "8 --threads 2 --quiet "

static void setup(void)
{
    folder = shell_folder();
    tools = shell_setting("REEL_TOOLS");
}

static void teardown(void)
{
    shell_remove_folder(folder);
}

/* Goes on in a loop of the shell: `until CONDITION` WAIT; also ends where the process has. */
#define WAIT " || ! kill -0 $p 2>/dev/null; do sleep 0.01; done; "

static void must_say(int code, const char *part)
{
    ck_assert_msg(strstr(shell_output(), part) != NULL, "exit code %d; '%s' is not in: %s", code, part,
                  shell_output());
}

static void check_same(void)
{
    shell_must(SAME_RESULTS, folder, folder, folder, folder);
    shell_must("cmp %s/whole/rnn.best.npz %s/cut/rnn.best.npz", folder, folder);
    shell_must("cmp %s/whole/attention.best.npz %s/cut/attention.best.npz", folder, folder);
}

START_TEST(a_killed_run_goes_on_with_nothing_but_its_folder)
{
    shell_must("%s/train_zoo " OPTIONS "--out %s/whole", tools, folder);
    /* Killed whenever another checkpoint is there, until it ends. */
    shell_must("cd %s && d=$OLDPWD && "
               "cat > again.sh <<'EOF'\n"
               "\"$@\" & p=$!\n"
               "n=0; while kill -0 $p 2>/dev/null && [ $n -lt 6 ]; do "
               "k=$(stat -c %%i:%%Y:%%s cut/*.last.npz 2>/dev/null); [ \"$k\" = \"$o\" ] || { o=$k; "
               "n=$((n+1)); }; done\n"
               "kill -9 $p 2>/dev/null; wait $p 2>/dev/null\n"
               "EOF\n"
               "cd $d && cp tests/fixtures/debian_120.tsv %s/ && cd %s && "
               "T='%s/train_zoo' && "
               "sh again.sh $T --data debian_120.tsv --models rnn,attention --epochs 2 --batch 16 --embed 8 "
               "--hidden 8 "
               "--threads 2 --quiet --checkpoint-every 1 --out cut; "
               "for i in 1 2 3; do sh again.sh $T --resume cut --quiet; done; $T --resume cut --quiet",
               folder, folder, folder, tools);
    must_say(0, "attention");
    shell_must("sed -i 's,debian_120.tsv,tests/fixtures/debian_120.tsv,' %s/cut/results.json", folder);
    check_same();
    /* And once more: nothing is left to do. */
    shell_must("cp %s/cut/rnn.last.npz %s/before && %s/train_zoo --resume %s/cut && cmp %s/cut/rnn.last.npz "
               "%s/before",
               folder, folder, tools, folder, folder, folder);
}
END_TEST

START_TEST(levers_go_on_with_a_run_that_was_left)
{
    shell_must("cp tools/levers.sh %s/ && ln -s $(realpath %s/train_zoo) %s/", folder, tools, folder);
    for (int again = 0; again < 2; again++) {
        shell_must("sh %s/levers.sh -m rnn -l nothing -s 1 -t 1 -o %s/runs tests/fixtures/debian_120.tsv "
                   "tests/fixtures/debian_120.tsv",
                   folder, folder);
        must_say(0, "compare/report.html");
        shell_must("rm %s/runs/rnn-nothing/done", folder); /* as if it had been cut off before */
    }
}
END_TEST

/* Interrupted at the first of some 400 checkpoints: were the run over before the signal, the test would fail
 * and not pass without having looked. */
START_TEST(an_interrupted_run_says_how_to_go_on)
{
    char advice[400];
    shell_must("%s/train_zoo " OPTIONS "--epochs 30 --out %s/whole", tools, folder);
    int code = shell_run("%s/train_zoo " OPTIONS "--epochs 30 --checkpoint-every 1 --out %s/cut & p=$!; "
                         "until [ -e %s/cut/rnn.last.npz ]" WAIT "kill -INT $p; wait $p",
                         tools, folder, folder);
    ck_assert_int_eq(code, 130);
    snprintf(advice, sizeof advice,
             "interrupted: ended after the batch in hand; go on with: train_zoo --resume %s/cut\n", folder);
    must_say(130, advice);
    shell_must("! [ -e %s/cut/attention.last.npz ]", folder);
    shell_must("%s/train_zoo --resume %s/cut --checkpoint-every -1", tools, folder);
    check_same();
}
END_TEST

START_TEST(byte_pairs_go_on_too)
{
    shell_must("%s/train_zoo " OPTIONS "--tokenizer bpe --vocab 300 --out %s/whole", tools, folder);
    shell_must("%s/train_zoo " OPTIONS
               "--tokenizer bpe --vocab 300 --checkpoint-every 1 --out %s/cut & p=$!; "
               "until [ -e %s/cut/rnn.last.npz ]" WAIT "kill -9 $p; wait $p; "
               "%s/train_zoo --resume %s/cut --quiet",
               tools, folder, folder, tools, folder);
    check_same();
    shell_must("echo 'a library of fonts' | %s/predict %s/cut/attention.best.npz --attention --quiet", tools,
               folder);
    must_say(0, "<bos>:");
}
END_TEST

/* Two stages, chosen and refitted; each goes on where it was. */
START_TEST(the_best_one_goes_on_too)
{
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models best --epochs 3 --embed 8 --quiet --out "
        "%s/whole",
        tools, folder);
    must_say(0, "on the validation part, 0.");
    must_say(0, "(95 % interval 0.");
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models best --epochs 3 --embed 8 --quiet "
               "--checkpoint-every 1 --out %s/cut & p=$!; "
               "until [ -e %s/cut/choice/wide.last.npz ]" WAIT "kill -9 $p; wait $p; "
               "%s/train_zoo --resume %s/cut --quiet",
               tools, folder, folder, tools, folder);
    shell_must(SAME_RESULTS, folder, folder, folder, folder);
    shell_must(
        "cmp %s/whole/wide.last.npz %s/cut/wide.last.npz; cmp %s/whole/wide.best.npz %s/cut/wide.best.npz",
        folder, folder, folder, folder);
    /* Trained on all 96 texts, in a folder of its own on fewer; what is given comes before its own settings.
     */
    shell_must("grep -q '\"train\": 96,' %s/whole/results.json && grep -q '\"epochs\": 3,' "
               "%s/whole/settings.json && grep -q '\"optimizer\": \"sgd\"' %s/whole/settings.json",
               folder, folder, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --data x --refit", tools), 2);
    must_say(2, "--refit needs a validation part; add --valid");
}
END_TEST

START_TEST(an_ensemble_is_all_models_together)
{
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models wide,bag --seeds 2 --epochs 2 --embed 8 "
        "--valid 0.2 --ensemble --quiet --out %s/whole",
        tools, folder);
    must_say(0, "4 together: threshold 0.");
    shell_must("tr -d '\\n' < %s/whole/results.json | grep -q '\"ensemble\": *{ *\"members\": 4'", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --data x --ensemble", tools), 2);
    must_say(2, "--ensemble needs a validation part; add --valid");
}
END_TEST

START_TEST(other_data_are_refused)
{
    shell_must("cp tests/fixtures/debian_120.tsv %s/data.tsv && echo 'the red' > %s/stop", folder, folder);
    shell_must(
        "%s/train_zoo --data %s/data.tsv --stop-words %s/stop --models rnn --epochs 1 --embed 4 --hidden 4 "
        "--quiet --out %s/run",
        tools, folder, folder, folder);
    shell_must("echo 'the red library' > %s/stop", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/run", tools, folder), 1);
    must_say(1, "put the file of stop words back");
    shell_must("echo 'one more text\tgames' >> %s/data.tsv", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/run", tools, folder), 1);
    must_say(1, "was trained on data with hash");
    shell_must("rm %s/data.tsv", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/run", tools, folder), 1);
    must_say(1, "data.tsv");
}
END_TEST

START_TEST(what_cannot_be_gone_on_with_is_refused)
{
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/nowhere", tools, folder), 1);
    must_say(1, "--resume needs the folder of a run");
    shell_must("echo '{\"epochs\": 0}' > %s/settings.json", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s", tools, folder), 1);
    must_say(1, "epochs cannot be 0");
    shell_must("echo '{\"epochs\": 3' > %s/settings.json", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s", tools, folder), 1);
    must_say(1, "settings.json");
    shell_must("echo '{\"epochs\": 3}' > %s/settings.json", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s", tools, folder), 1);
    must_say(1, "does not name the data");
    shell_must("%s/train_zoo " OPTIONS "--out %s/run", tools, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/run --out x", tools, folder), 2);
    must_say(2, "--out x: a run goes on in its own folder");
    shell_must("%s/train_zoo --resume %s/run --out %s/run", tools, folder, folder);
    shell_must("sed -i '2i\\  \"later-setting\": 3,' %s/run/settings.json", folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/run", tools, folder), 1);
    must_say(1, "this version knows no setting 'later-setting'");
}
END_TEST

/* Nothing in the folder changes when a run cannot go on. */
static void must_refuse(int code, const char *options, const char *message)
{
    shell_must("cd %s && cat $(find run -type f | sort) | cksum > before", folder);
    ck_assert_msg(shell_run("%s/train_zoo --resume %s/run %s", tools, folder, options) == code, "%s: %s",
                  options, shell_output());
    must_say(code, message);
    if (code == 2)
        must_say(code, "or start a new run");
    shell_must("cd %s && cat $(find run -type f | sort) | cksum | cmp - before", folder);
}

START_TEST(what_changes_the_model_is_refused_by_name)
{
    static const char *const others[] = {"--models lstm",
                                         "--batch 8",
                                         "--lr 0.01",
                                         "--max-len 32",
                                         "--embed 4",
                                         "--hidden 4",
                                         "--layers 2",
                                         "--seed 5",
                                         "--shards 1",
                                         "--notebook",
                                         "--output-bias default",
                                         "--optimizer sgd",
                                         "--weight-decay 0.1",
                                         "--clip 1",
                                         "--schedule cosine",
                                         "--warmup 5",
                                         "--valid 0.2",
                                         "--no-refit",
                                         "--shrinkage 5",
                                         "--dropout 0.1",
                                         "--embed-dropout 0.1",
                                         "--word-dropout 0.1",
                                         "--bpe-dropout 0.1",
                                         "--embed-scale 0.5",
                                         "--forget-bias 1",
                                         "--orthogonal",
                                         "--pos-weight 0.5",
                                         "--keep-digits",
                                         "--tokenizer bpe",
                                         "--vocab 300",
                                         "--min-df 1",
                                         "--max-df 0.5",
                                         "--shrinkage 0"};
    char name[32];
    shell_must("%s/train_zoo " OPTIONS "--out %s/run", tools, folder);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i], "--no-refit") == 0) { /* what the run has already */
            shell_must("%s/train_zoo --resume %s/run --no-refit --lr 2e-3", tools, folder);
            continue;
        }
        snprintf(name, sizeof name, "%.*s ", (int)strcspn(others[i], " "), others[i]);
        must_refuse(2, others[i], name);
    }
    must_refuse(2, "--epochs 1", "--epochs 1: the run in ");
    must_refuse(1, "--data /nowhere/x.tsv", "where it was moved, name it: --resume");
    must_refuse(1, "--stop-words none", "gives different ids");
    shell_must("sed -i 's/\"lr\": 0.002/\"lr\": 0.1/' %s/run/settings.json", folder);
    must_refuse(1, "", "was trained with lr 0.002, and the run is one with lr 0.1");
    shell_must("sed -i 's/\"lr\": 0.1/\"lr\": 0.002/' %s/run/settings.json && rm %s/run/rnn.last.npz && "
               "cp tests/fixtures/runs/adam/rnn.last.npz %s/run",
               folder, folder, folder);
    must_refuse(1, "", "rnn.last.npz: is of another run");
    must_refuse(1, "--epochs 9 --threads 1", "rnn.last.npz: is of another run");
}
END_TEST

/* More epochs, other threads, the file elsewhere: the same weights as if all had been so from the start. */
START_TEST(what_leaves_the_model_may_be_new)
{
    shell_must("%s/train_zoo " OPTIONS "--epochs 4 --seeds 2 --out %s/whole", tools, folder);
    shell_must("cp tests/fixtures/debian_120.tsv %s/data.tsv && %s/train_zoo " OPTIONS
               "--data %s/data.tsv --threads 1 --out %s/cut && mv %s/data.tsv %s/moved.tsv",
               folder, tools, folder, folder, folder, folder);
    shell_must(
        "cd %s && %s/train_zoo --resume cut --epochs 4 --threads 2 --data moved.tsv --seeds 2 --keep 1 "
        "--compress 0 --checkpoint-every 1 --check-finite --patience 9 --quiet",
        folder, tools);
    shell_must("grep -q '\"epochs\": 4' %s/cut/settings.json && grep -q moved.tsv %s/cut/settings.json",
               folder, folder);
    /* And the folder remembers it. */
    shell_must("%s/train_zoo --resume %s/cut --compress 1 --quiet", tools, folder);
    shell_must(
        "for f in %s/whole %s/cut; do sed '/\"\\(seconds\\|peak_rss_mb\\|data\\)\":/d' $f/results.json > "
        "$f/stripped; done; cmp %s/whole/stripped %s/cut/stripped",
        folder, folder, folder, folder);
}
END_TEST

/* Files for validation and testing. */
START_TEST(parts_may_have_moved)
{
    shell_must(
        "cd %s && for f in valid test; do { head -n 1 $OLDPWD/tests/fixtures/debian_120.tsv; tail -n 30 "
        "$OLDPWD/tests/fixtures/debian_120.tsv; } > $f.tsv; done",
        folder);
    for (int i = 0; i < 2; i++)
        shell_must(
            "d=$PWD; cd %s && %s/train_zoo " OPTIONS
            "--data $d/tests/fixtures/debian_120.tsv --epochs %d --valid valid.tsv --test test.tsv --out %s",
            folder, tools, i ? 2 : 1, i ? "whole" : "run");
    shell_must("cd %s && mkdir there && cp -r run cut && mv valid.tsv test.tsv there", folder);
    must_refuse(1, "--epochs 2", "valid.tsv: is not there any more");
    must_refuse(1, "--epochs 2", "run --valid FILE");
    shell_must(
        "cd %s && cp there/test.tsv there/other.tsv && sed -i 's/^\\([a-z]* \\)/& new /' there/other.tsv",
        folder);
    shell_run("cd %s && %s/train_zoo --resume run --epochs 2 --valid there/valid.tsv", folder, tools);
    must_say(1, "test.tsv: is not there any more");
    shell_run("cd %s && %s/train_zoo --resume run --epochs 2 --valid there/valid.tsv --test there/other.tsv",
              folder, tools);
    must_say(1, "gives different ids");
    shell_run("cd %s && %s/train_zoo --resume run --epochs 2 --valid 0.2 --test there/test.tsv", folder,
              tools);
    must_say(2, "--valid 0.2: the run in");
    shell_must(
        "cd %s && %s/train_zoo --resume cut --epochs 2 --valid there/valid.tsv --test there/test.tsv --quiet",
        folder, tools);
    check_same();
    shell_must("cd / && %s/train_zoo --resume %s/cut --epochs 3 --quiet", tools,
               folder); /* the folder remembers */
}
END_TEST

/* A cosine ends with the last epoch. */
START_TEST(a_schedule_has_its_length)
{
    shell_must("%s/train_zoo " OPTIONS "--schedule cosine --out %s/run", tools, folder);
    must_refuse(2, "--epochs 4", "--schedule cosine");
}
END_TEST

/* An older file lacks a setting that there was not yet: then it means what was done then. */
START_TEST(a_setting_that_the_file_lacks_is_as_it_was)
{
    static const char *const lines =
        "/\"\\(lr\\|clip\\|shrinkage\\|tokenizer\\|orthogonal\\|max-df\\|min-df\\|max-len\\|layers\\)\"/d";
    shell_must("%s/train_zoo " OPTIONS "--epochs 4 --out %s/whole", tools, folder);
    shell_must("%s/train_zoo " OPTIONS "--out %s/cut && sed -i '%s' %s/cut/settings.json", tools, folder,
               lines, folder);
    shell_must("%s/train_zoo --resume %s/cut --epochs 4 --quiet", tools, folder);
    check_same();
}
END_TEST

/* Bytes that are no UTF-8 in the names of files. */
START_TEST(a_path_may_be_any_bytes)
{
    shell_must(
        "cd %s && name=$(printf 'd\\351j\\340\\377') && cp $OLDPWD/tests/fixtures/debian_120.tsv $name.tsv "
        "&& "
        "echo the > $name.stop && %s/train_zoo " OPTIONS "--data $name.tsv --stop-words $name.stop "
        "--out $name && %s/train_zoo --resume $name && %s/train_zoo --compare $name --out $name.compare",
        folder, tools, tools, tools);
}
END_TEST

/* Results beside other settings would pass for what those have come to. */
START_TEST(a_new_run_removes_the_results_of_an_old_one)
{
    shell_must("%s/train_zoo " OPTIONS "--out %s/run", tools, folder);
    shell_must("%s/train_zoo " OPTIONS "--lr 1e-3 --checkpoint-every 1 --epochs 100000 --out %s/run & p=$!; "
               "until grep -q '\"lr\": 0.001' %s/run/settings.json && [ %s/run/rnn.last.npz -nt "
               "%s/run/settings.json ]" WAIT "kill -9 $p; wait $p; cd %s/run && ! ls results.json "
               "report.json report.html 2>/dev/null",
               tools, folder, folder, folder, folder, folder);
    /* Nor is its attention gone on from, which the new one has not come to. */
    shell_must(
        "sed -i 's/\"epochs\": 100000/\"epochs\": 3/' %s/run/settings.json && rm %s/run/rnn.last.npz && "
        "%s/train_zoo --resume %s/run",
        folder, folder, tools, folder);
    must_say(0, "attention     epoch  1/3");
}
END_TEST

/* What a model refuses is refused before another one has trained. */
START_TEST(models_that_cannot_be_built_are_refused_at_once)
{
    ck_assert_int_eq(shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn,transformer "
                               "--layers 9 --epochs 1 --out %s/run",
                               tools, folder),
                     1);
    must_say(1, "transformer: at most 8 layers");
    ck_assert_ptr_null(strstr(shell_output(), "epoch"));
    ck_assert_int_eq(shell_run("ls %s/run", folder), 2);
}
END_TEST

/* The folder is locked before its settings are read: the run that holds it may be about to write others. */
START_TEST(a_folder_in_use_is_left_alone)
{
    if (!shell_has("flock")) {
        test_skip("flock (of util-linux), which holds the folder, is not installed");
        return;
    }
    shell_must("%s/train_zoo " OPTIONS "--models rnn --out %s/run", tools, folder);
    /* While it is waited for, the settings change; what is gone on with are the new ones. */
    shell_must(
        "cd %s; (flock 9; : > held; sleep 0.7; sed -i 's/\"epochs\": 2/\"epochs\": 3/' run/settings.json) "
        "9< run & for n in 1 2 3 4 5 6 7 8 9; do [ -e held ] || sleep 0.1; done; %s/train_zoo --resume "
        "%s/run; wait",
        folder, tools, folder);
    must_say(0, "epoch  3/3");
}
END_TEST

/* Without a standard output its number would be the checkpoint's, which would get the progress' lines. */
START_TEST(a_closed_output_is_not_a_checkpoint)
{
    shell_must(
        "cp tests/fixtures/debian_120.tsv %s; cd %s; "
        "(exec <&- >&- 2>&-; exec %s/train_zoo --data debian_120.tsv --models rnn --epochs 100000 --embed "
        "8 --hidden 8 --checkpoint-every 1 --out run) & p=$!; "
        "until [ -e run/rnn.last.npz ]" WAIT
        "for n in 0 1 2; do readlink /proc/$p/fd/$n; done; kill -9 $p; wait $p 2> /dev/null; true",
        folder, folder, tools);
    must_say(0, "/dev/null\n/dev/null\n/dev/null\n");
    ck_assert_int_eq(shell_run("%s/train_zoo --list > /dev/full", tools), 1);
    must_say(1, "cannot write the output");
}
END_TEST

START_TEST(command_lines_that_cannot_be_run_are_refused)
{
    ck_assert_int_eq(shell_run("%s/train_zoo --data x --models rnn,lstm,rnn", tools), 2);
    must_say(2, "rnn is named twice");
    ck_assert_int_eq(shell_run("%s/train_zoo --data x --seed 18446744073709551615 --seeds 2", tools), 2);
    must_say(2, "the last seed must be below 2^63");
}
END_TEST

START_TEST(the_rows_of_the_validation_part_are_counted)
{
    shell_must("%s/train_zoo " OPTIONS "--valid 0.25 --out %s/run && grep -E '\"(rows|train|valid|test)\":' "
               "%s/run/results.json",
               tools, folder, folder);
    must_say(0, "\"rows\": 120,\n  \"train\": 78,\n  \"valid\": 18,\n  \"test\": 24,");
}
END_TEST

/* The sizes are the file's, all else is the command's. */
START_TEST(weights_to_begin_with_leave_dropout_as_it_is)
{
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models bag --embed 8 --epochs 1 --quiet "
               "--out %s/first",
               tools, folder);
    shell_must("for d in 0 0.5; do %s/train_zoo --data tests/fixtures/debian_120.tsv --models bag --epochs 1 "
               "--quiet --init %s/first/bag.best.npz --dropout $d --out %s/$d; done; "
               "%s/train_zoo --data tests/fixtures/debian_120.tsv --models bag --epochs 1 --quiet "
               "--init %s/first/bag.best.npz --out %s/own",
               tools, folder, folder, tools, folder, folder);
    shell_must("cd %s && for d in own 0.5 0; do %s/predict $d/bag.best.npz --export $d.safetensors; "
               "done; cmp own.safetensors 0.5.safetensors", /* bag's own is 0.5 */
               folder, tools);
    ck_assert_int_eq(shell_run("cmp -s %s/own.safetensors %s/0.safetensors", folder, folder), 1);
}
END_TEST

/* The weights of a model as numbers of 16 or 64 bits, each name behind `prefix`. */
static void write_weights(const char *from, const char *to, int item_bytes, const char *prefix)
{
    TensorNpz *npz;
    TensorNpzWriter *writer;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ck_assert_ok(tensor_npz_open(&npz, from));
    ck_assert_ok(tensor_npz_writer_open(&writer, to, (TensorNpzOptions){0}));
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        char name[200];
        Tensor t;
        if (nn_is_reel_member(member->name))
            continue;
        ck_assert_ok(tensor_npz_read_tensor(npz, member, &arena, &t));
        int64_t count = tensor_numel(&t);
        uint16_t *half = tensor_arena_calloc(&arena, (size_t)count * sizeof *half);
        double *wide = tensor_arena_alloc(&arena, (size_t)count * sizeof *wide);
        for (int64_t j = 0; j < count; j++) {
            wide[j] = (double)tensor_f32(t)[j];
            half[j] = tensor_f32(t)[j] < 0 ? 0xb800 : 0x3800; /* -0.5 or 0.5 */
        }
        snprintf(name, sizeof name, "%s%s", prefix, member->name);
        tensor_npz_add_array(writer, name, 'f', item_bytes, t.ndim, t.shape,
                             item_bytes == 8 ? (void *)wide : half);
    }
    ck_assert_ok(tensor_npz_writer_finish(writer));
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
}

/* Of doubles the first weights are those of the model itself; halves are taken too. */
START_TEST(weights_to_begin_with_are_converted_and_lose_a_prefix)
{
    static const char begin[] =
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --quiet "
        "--embed 8 --hidden 8 --out %s/%s --init %s";
    char model[300], file[300], option[400];
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --quiet --embed 8 "
               "--hidden 8 --out %s/first",
               tools, folder);
    snprintf(model, sizeof model, "%s/first/rnn.last.npz", folder);
    snprintf(file, sizeof file, "%s/weights.npz", folder);
    shell_must(begin, tools, folder, "own", model);
    write_weights(model, file, 8, "");
    shell_must(begin, tools, folder, "wide", file);
    shell_must("cmp %s/own/rnn.best.npz %s/wide/rnn.best.npz", folder, folder);
    write_weights(model, file, 2, "");
    shell_must(begin, tools, folder, "half", file);
    ck_assert_int_ne(shell_run("cmp -s %s/own/rnn.best.npz %s/half/rnn.best.npz", folder, folder), 0);
    write_weights(model, file, 8, "_orig_mod.");
    ck_assert_int_eq(shell_run(begin, tools, folder, "wrapped", file), 1);
    must_say(1, "take the prefix off with --init-prefix _orig_mod. ");
    snprintf(option, sizeof option, "%s --init-prefix _orig_mod.", file);
    shell_must(begin, tools, folder, "wrapped", option);
    shell_must("cmp %s/own/rnn.best.npz %s/wrapped/rnn.best.npz", folder, folder);
    shell_must("%s/train_zoo --resume %s/wrapped --epochs 2 --quiet", tools, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --data x --init-prefix module.", tools), 2);
    must_say(2, "--init-prefix");
}
END_TEST

START_TEST(weights_to_begin_with_must_fit)
{
    shell_must("%s/train_zoo " OPTIONS "--out %s/whole", tools, folder);
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --quiet --init "
               "%s/whole/rnn.best.npz --out %s/cut",
               tools, folder, folder);
    ck_assert_int_eq(
        shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --models lstm --epochs 1 --init "
                  "%s/whole/rnn.best.npz --out %s/cut",
                  tools, folder, folder),
        1);
    must_say(1, "holds the model rnn and cannot begin lstm");
    static const char *const wrong[][2] = {
        {"--embed 9", "--embed 9: the model in "},
        {"--hidden 9", "--hidden 9: the model in "},
        {"--tokenizer bpe", "--tokenizer: the model in "},
        {"--tokenizer x.json", "brings its own tokenizer; leave the option out"},
        {"--clean unicode", "reads ASCII letters; leave the option out"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(
            shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 "
                      "%s --init %s/whole/rnn.best.npz --out %s/never",
                      tools, wrong[i][0], folder, folder),
            2);
        must_say(2, wrong[i][1]);
    }
    /* Cut in the middle, and weights alone where --refit asks for two vocabularies. */
    shell_must("head -c 3000 %s/whole/rnn.best.npz > %s/half.npz", folder, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --init "
                               "%s/half.npz --out %s/never",
                               tools, folder, folder),
                     1);
    must_say(1, "half.npz: ");
    shell_must("%s/predict %s/whole/rnn.best.npz --export %s/bare.safetensors", tools, folder, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --valid 0.2 "
                               "--refit --init %s/bare.safetensors --out %s/never",
                               tools, folder, folder),
                     2);
    must_say(2, "which fit one vocabulary of the two");
    shell_must("test ! -e %s/never", folder);
}
END_TEST

/* Makes new.tsv: other labels and words beside the old ones. */
static void write_new_data(void)
{
    shell_must("awk -F'\t' -v OFS='\t' 'NR == 1 {print; next} "
               "NR %% 2 {print $1 \" zeppelin airship\", $2 \", flying\"; next} "
               "{print $1 \" quark lepton\", \"physics\"}' tests/fixtures/debian_120.tsv > %s/new.tsv",
               folder);
}

/* What is new is said, and a run that is killed goes on in the same bytes; an option that would have kept
 * other words is none of the model's. */
START_TEST(a_model_goes_on_with_other_words_and_labels)
{
    write_new_data();
    shell_must("%s/train_zoo " OPTIONS "--out %s/first", tools, folder);
    shell_must("cd %s && %s/train_zoo --data new.tsv --models rnn --epochs 2 --batch 16 --min-df 3 --init "
               "first/rnn.best.npz --out whole",
               folder, tools);
    must_say(0, "begins with first/rnn.best.npz: 2 of ");
    must_say(0, " words are new; texts are read as its own were\n");
    shell_must("cd %s && { %s/train_zoo --data new.tsv --models rnn --epochs 2 --batch 16 --min-df 3 --init "
               "first/rnn.best.npz --out cut --checkpoint-every 1 --quiet & p=$!; "
               "until [ -e cut/rnn.last.npz ]" WAIT "kill -9 $p; wait $p; }; cp cut/settings.json kept.json; "
               "cd / && %s/train_zoo --resume %s/cut --quiet && cmp %s/kept.json %s/cut/settings.json",
               folder, tools, tools, folder, folder, folder);
    shell_must(SAME_RESULTS, folder, folder, folder, folder);
    shell_must("cmp %s/whole/rnn.best.npz %s/cut/rnn.best.npz", folder, folder);
    /* From weights that are gone nothing can go on, unless they are named. */
    shell_must("mv %s/first/rnn.best.npz %s/moved.npz", folder, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/cut --quiet", tools, folder), 1);
    must_say(1, "where it was moved, name it: --resume");
    shell_must("%s/train_zoo --resume %s/cut --init %s/moved.npz --epochs 3 --quiet", tools, folder, folder);
}
END_TEST

/* The labels of the one are in another order than those of the other, which were all found in the data: no
 * figure of one label stands beside another's. */
START_TEST(a_model_that_was_begun_with_is_compared_by_the_names_of_its_labels)
{
    shell_must("awk -F'\t' -v OFS='\t' 'NR > 1 && NR %% 2 {$2 = $2 \", aviation\"} 1' "
               "tests/fixtures/debian_120.tsv > %s/new.tsv",
               folder);
    shell_must(
        "cd %s && T='%s/train_zoo --models rnn --epochs 1 --embed 8 --hidden 8 --quiet' && "
        "$T --data $OLDPWD/tests/fixtures/debian_120.tsv --out first && $T --data new.tsv --out one && "
        "$T --data new.tsv --seed 1 --out two && $T --data new.tsv --init first/rnn.best.npz --out begun",
        folder, tools);
    shell_must(
        "cd %s && %s/train_zoo --compare one two --out same && %s/train_zoo --compare one begun --out other "
        "&& "
        "grep -A1 'All labels, all models' same/report.html | grep -o 'scope=\"col\">[a-z]*/rnn' | wc -l && "
        "grep -A1 'All labels, all models' other/report.html | grep -o 'scope=\"col\">[a-z]*/rnn' | wc -l",
        folder, tools, tools);
    must_say(0, "2\n1\n");
}
END_TEST

/* With its --refit, which trains on two vocabularies; and with a cache, which knows the model. */
START_TEST(the_best_one_begins_with_a_model_too)
{
    write_new_data();
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models best --epochs 2 --embed 8 --quiet "
               "--char-ngrams 2-3 --out %s/first",
               tools, folder);
    shell_must("%s/train_zoo --data %s/new.tsv --models best --epochs 2 --init %s/first/wide.best.npz --out "
               "%s/whole",
               tools, folder, folder, folder);
    must_say(0, ", and their pieces of 2 to 3 characters");
    must_say(0, "wide.best.npz: 2 of ");
    shell_must("for i in 1 2; do %s/train_zoo --data %s/new.tsv --models best --epochs 2 --init "
               "%s/first/wide.best.npz --cache %s/cache --quiet --out %s/cut || exit 1; done; "
               "ls %s/cache/*.data | wc -l",
               tools, folder, folder, folder, folder, folder);
    must_say(0, "2\n");
    shell_must("cmp %s/whole/wide.best.npz %s/cut/wide.best.npz", folder, folder);
    shell_must("%s/train_zoo --data %s/new.tsv --models best --epochs 2 --quiet --cache %s/cache --out "
               "%s/other && ls %s/cache/*.data | wc -l",
               tools, folder, folder, folder, folder);
    must_say(0, "4\n");
}
END_TEST

/* A learned tokenizer would be another one for other texts, and the weights would mean nothing. */
START_TEST(byte_pairs_are_begun_with)
{
    shell_must("%s/train_zoo " OPTIONS "--tokenizer bpe --vocab 300 --out %s/whole", tools, folder);
    shell_must(
        "(head -1 tests/fixtures/debian_120.tsv; tail -n +2 tests/fixtures/debian_120.tsv | tac; tail -60 "
        "tests/fixtures/debian_120.tsv) > %s/more.tsv",
        folder);
    shell_must("%s/train_zoo --data %s/more.tsv --models rnn --epochs 1 --tokenizer bpe --batch 16 --quiet "
               "--checkpoint-every 1 --lr 1e-12 --optimizer sgd --init %s/whole/rnn.best.npz --out %s/cut",
               tools, folder, folder, folder);
    /* The same byte pairs, and with next to no training the same answers. */
    shell_must("for d in whole cut; do tail -n +2 tests/fixtures/debian_120.tsv | cut -f1 | %s/predict "
               "%s/$d/rnn.best.npz --top 3 --quiet > %s/$d.txt; done; cmp %s/whole.txt %s/cut.txt",
               tools, folder, folder, folder, folder);
    shell_must("%s/train_zoo --resume %s/cut --quiet", tools, folder);
    /* Which need not be asked for. */
    shell_must(
        "%s/train_zoo --data %s/more.tsv --models rnn --epochs 1 --batch 16 --lr 1e-12 --optimizer sgd "
        "--init %s/whole/rnn.best.npz --out %s/again",
        tools, folder, folder, folder);
    must_say(0, "labels are new; texts are read as its own were, by its byte pairs\n");
}
END_TEST

Suite *tools_resume_suite(void);
Suite *tools_resume_suite(void)
{
    Suite *suite = suite_create("tools/resume");
    TCase *tcase = tcase_create("resume");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_killed_run_goes_on_with_nothing_but_its_folder);
    tcase_add_test(tcase, levers_go_on_with_a_run_that_was_left);
    tcase_add_test(tcase, an_interrupted_run_says_how_to_go_on);
    tcase_add_test(tcase, byte_pairs_go_on_too);
    tcase_add_test(tcase, the_best_one_goes_on_too);
    tcase_add_test(tcase, an_ensemble_is_all_models_together);
    tcase_add_test(tcase, other_data_are_refused);
    tcase_add_test(tcase, a_model_goes_on_with_other_words_and_labels);
    tcase_add_test(tcase, a_model_that_was_begun_with_is_compared_by_the_names_of_its_labels);
    tcase_add_test(tcase, the_best_one_begins_with_a_model_too);
    tcase_add_test(tcase, what_cannot_be_gone_on_with_is_refused);
    tcase_add_test(tcase, what_changes_the_model_is_refused_by_name);
    tcase_add_test(tcase, what_leaves_the_model_may_be_new);
    tcase_add_test(tcase, parts_may_have_moved);
    tcase_add_test(tcase, a_schedule_has_its_length);
    tcase_add_test(tcase, a_setting_that_the_file_lacks_is_as_it_was);
    tcase_add_test(tcase, a_path_may_be_any_bytes);
    tcase_add_test(tcase, a_new_run_removes_the_results_of_an_old_one);
    tcase_add_test(tcase, models_that_cannot_be_built_are_refused_at_once);
    tcase_add_test(tcase, a_folder_in_use_is_left_alone);
    tcase_add_test(tcase, a_closed_output_is_not_a_checkpoint);
    tcase_add_test(tcase, command_lines_that_cannot_be_run_are_refused);
    tcase_add_test(tcase, the_rows_of_the_validation_part_are_counted);
    tcase_add_test(tcase, weights_to_begin_with_leave_dropout_as_it_is);
    tcase_add_test(tcase, weights_to_begin_with_are_converted_and_lose_a_prefix);
    tcase_add_test(tcase, weights_to_begin_with_must_fit);
    tcase_add_test(tcase, byte_pairs_are_begun_with);
    suite_add_tcase(suite, tcase);
    return suite;
}
