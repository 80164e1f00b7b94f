/* A run's report in a real browser: Debian's chromium, without a screen. */
#include "tests/browser_support.h"
#include "tests/report_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char *const skipped = "chromium is not installed: the report is not looked at by a browser";

/* The report of a run by train_zoo, and one with names that try to get out of their place, in one frame page
 * each for a phone's width, which asks whether the page is wider than its window, and for a desk's, whether
 * type is as large in all figures. */
static const char *const check_script =
    "<!DOCTYPE html><html><head><meta charset='utf-8'><title>check</title></head><body>"
    "<iframe id='f' style='width:360px;height:800px' src='report.html'></iframe><pre id='out'>waiting</pre>"
    "<script>const f=document.getElementById('f');f.onload=()=>{const d=f.contentDocument,"
    "s=[...d.querySelectorAll('figure svg')],b=s.filter(e=>{const r=e.getBoundingClientRect();"
    "return r.width<200||r.height<60}),t=[...d.querySelectorAll('figure svg text')].filter(e=>{"
    "const r=e.getBoundingClientRect(),p=e.closest('svg').getBoundingClientRect();"
    "return r.left<p.left-1||r.right>p.right+1||r.top<p.top-1||r.bottom>p.bottom+1});"
    "const wide=d.documentElement.scrollWidth>360;f.style.width='1200px';const z=new "
    "Set(s.filter(e=>e.viewBox.baseVal.width==460)"
    ".map(e=>Math.round(e.getBoundingClientRect().width)));"
    "document.getElementById('out').textContent=['figures='+s.length,'sizes='+z.size,'flat='+b.length,"
    "'cut='+t.length,'cut-texts='+t.slice(0,5).map(e=>e.textContent).join('|'),"
    "'wide='+wide,'scripts='+d.scripts.length,"
    "'background='+f.contentWindow.getComputedStyle(d.body).backgroundColor,"
    "'sections='+d.querySelectorAll('section[id]').length,'h1='+d.querySelector('h1').textContent.length]."
    "join('\\n')"
    "}</script></body></html>";

static void write_check(const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%s/check.html", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(check_script, file);
    fclose(file);
}

static void check_in_browser(const char *folder, int figures, int sections)
{
    char expected[40];
    write_check(folder);
    /* The console goes to stderr, here together with the page as the browser has it. */
    shell_must(CHROMIUM
               "--enable-logging=stderr --v=0 --allow-file-access-from-files --virtual-time-budget=8000 "
               "--dump-dom 'file://%s/check.html'",
               folder, folder);
    const char *got = strstr(shell_output(), "<pre id=\"out\">"),
               *console = strstr(shell_output(), "CONSOLE");
    ck_assert_msg(!console, "the console is not empty: %.400s", console ? console : "");
    ck_assert_msg(got != NULL, "no page from the browser: %.400s", shell_output());
    snprintf(expected, sizeof expected, "figures=%d\n", figures);
    ck_assert_msg(strstr(got, expected) != NULL, "no %s in:\n%.400s", expected, got);
    ck_assert_msg(strstr(got, "flat=0\n") != NULL, "figures without a size:\n%.400s", got);
    ck_assert_msg(strstr(got, "cut=0\n") != NULL, "texts that leave their figure:\n%.400s", got);
    ck_assert_msg(strstr(got, "sizes=1\n") != NULL, "figures of several sizes, side by side:\n%.400s", got);
    ck_assert_msg(strstr(got, "wide=false\n") != NULL, "wider than a phone:\n%.400s", got);
    ck_assert_msg(strstr(got, "scripts=0\n") != NULL, "something became a script:\n%.400s", got);
    snprintf(expected, sizeof expected, "sections=%d\n", sections);
    ck_assert_msg(strstr(got, expected) != NULL, "no %s in:\n%.400s", expected, got);
}

/* FOLDER/report.html about a made-up run from so many seeds. */
static void write_page(const char *folder, int seeds)
{
    char run[500];
    snprintf(run, sizeof run, "%s/run", folder);
    shell_must("mkdir '%s'", run);
    report_support_run(run, seeds, 0.01, 1);
    shell_must("'%s/train_zoo' --compare '%s' --out '%s'", shell_setting("REEL_TOOLS"), run, folder);
}

START_TEST(a_run_of_the_zoo)
{
    if (browser_is_missing(skipped))
        return;
    const char *folder = shell_folder(), *tools = shell_setting("REEL_TOOLS");
    shell_must(
        "'%s/train_zoo' --data tests/fixtures/debian_120.tsv --models rnn,attention --epochs 3 --embed 8 "
        "--hidden 8 --seeds 2 --quiet --out '%s'",
        tools, folder);
    check_in_browser(folder, 11, 10); /* with what probabilities are worth */
    shell_must(CHROMIUM "--window-size=1200,2000 --screenshot='%s/shot.png' 'file://%s/report.html'", folder,
               folder, folder);
    shell_must("test \"$(wc -c < '%s/shot.png')\" -gt 20000", folder);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(names_that_try_to_break_out)
{
    if (browser_is_missing(skipped))
        return;
    const char *folder = shell_folder();
    write_page(folder, 3);
    check_in_browser(folder, 10, 9);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(dark_and_printed)
{
    if (browser_is_missing(skipped))
        return;
    const char *folder = shell_folder();
    write_page(folder, 1);
    write_check(folder);
    for (int dark = 0; dark < 2; dark++) {
        shell_must(CHROMIUM "--blink-settings=preferredColorScheme=%d --allow-file-access-from-files "
                            "--virtual-time-budget=8000 --dump-dom 'file://%s/check.html'",
                   folder, 1 - dark, folder);
        ck_assert_msg(
            strstr(shell_output(), dark ? "background=rgb(20, 23, 26)" : "background=rgb(255, 255, 255)"),
            "%s", shell_output());
    }
    shell_must(CHROMIUM "--no-pdf-header-footer --print-to-pdf='%s/report.pdf' 'file://%s/report.html'",
               folder, folder, folder);
    shell_must("head -c 5 '%s/report.pdf' | grep -q %%PDF-", folder);
    shell_remove_folder(folder);
}
END_TEST

Suite *tools_report_browser_suite(void);
Suite *tools_report_browser_suite(void)
{
    Suite *suite = suite_create("tools/report_browser");
    TCase *tcase = tcase_create("browser");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, a_run_of_the_zoo);
    tcase_add_test(tcase, names_that_try_to_break_out);
    tcase_add_test(tcase, dark_and_printed);
    suite_add_tcase(suite, tcase);
    return suite;
}
