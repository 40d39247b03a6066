/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stream that never blocks: readers that stop, come back, go away. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/sink.h"
#include "system/clock.h"

static int ends[2];
static struct sh_sink *sink;

static int set_up(void **state SH_UNUSED)
{
    assert_int_equal(pipe(ends), 0); /* blocking, as what a shell gives */
    sink = sh_sink_new(ends[1]);
    assert_non_null(sink);
    alarm(60); /* a write that blocks would be the end of us */
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    alarm(0);
    sh_sink_close(sink, 0);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void say(const char *text)
{
    fputs(text, sh_sink_stream(sink));
    fflush(sh_sink_stream(sink));
}

/* All that comes until the sink has nothing left: numbered lines. Returns how many. */
static unsigned read_lines(unsigned first)
{
    static char all[2 * SH_SINK_MAX];
    size_t n = 0;
    assert_true(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    for (ssize_t got = 1; got > 0 || sh_sink_waiting(sink) > 0;) {
        got = read(ends[0], all + n, sizeof(all) - 1 - n);
        n += got > 0 ? (size_t)got : 0;
        sh_sink_push(sink);
    }
    all[n] = 0;
    assert_true(n == 0 || all[n - 1] == '\n');
    unsigned count = 0;
    char *rest = all, *line;
    while ((line = strsep(&rest, "\n")) && rest) {
        assert_int_equal(strtoul(line, NULL, 10), first + count);
        count++;
    }
    return count;
}

static void lines_go_through(void **state SH_UNUSED)
{
    char got[32] = "";
    say("one\ntwo\n");
    assert_int_equal(read(ends[0], got, sizeof(got)), 8);
    assert_string_equal(got, "one\ntwo\n");
    assert_int_equal(sh_sink_waiting(sink), 0);
}

/* A reader that does nothing for a while misses nothing. */
static void a_reader_that_stops(void **state SH_UNUSED)
{
    char line[32];
    for (unsigned i = 0; i < 40000; i++) {
        snprintf(line, sizeof(line), "%07u\n", i);
        say(line);
    }
    assert_true(sh_sink_waiting(sink) > 100000);
    assert_int_equal(sh_sink_lost(sink), 0);
    assert_int_equal(read_lines(0), 40000);
}

/* One that never reads again costs a megabyte, and only whole lines are lost. */
static void a_reader_that_never_comes_back(void **state SH_UNUSED)
{
    char line[32];
    for (unsigned i = 0; i < 400000; i++) {
        snprintf(line, sizeof(line), "%07u\n", i);
        say(line);
    }
    assert_true(sh_sink_waiting(sink) <= SH_SINK_MAX);
    assert_true(sh_sink_lost(sink) > 1000000);
    unsigned count = read_lines(0);
    assert_int_equal(8 * (uint64_t)count + sh_sink_lost(sink), 8 * 400000);
}

static void a_reader_that_is_gone(void **state SH_UNUSED)
{
    close(ends[0]);
    say("nobody\n");
    say("hears this\n");
    assert_int_equal(sh_sink_waiting(sink), 0);
    assert_false(ferror(sh_sink_stream(sink)));
    ends[0] = dup(ends[1]);
}

static void the_end_waits_for_the_reader_a_while(void **state SH_UNUSED)
{
    char line[32];
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(line, sizeof(line), "%07u\n", i);
        say(line);
    }
    sh_ms from = sh_now();
    sh_sink_close(sink, 300);
    assert_true(sh_now() - from >= 300);
    sink = sh_sink_new(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_go_through),
        TEST(a_reader_that_stops),
        TEST(a_reader_that_never_comes_back),
        TEST(a_reader_that_is_gone),
        TEST(the_end_waits_for_the_reader_a_while),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
