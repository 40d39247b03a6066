/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/installer.h"

#define HANGS_MS 4000 /* in which a shell has begun with what it is to do, on any machine */

static char folder[64], hook[128], output[128];
static struct sh_install_config config;
static int done_count;

static int before_each(void **state SH_UNUSED)
{
    memcpy(folder, "/tmp/simhop-test-XXXXXX", 24);
    if (!mkdtemp(folder))
        return 1;
    snprintf(hook, sizeof(hook), "%s/hook", folder);
    snprintf(output, sizeof(output), "%s/output", folder);
    config = (struct sh_install_config){.hook = hook};
    done_count = 0;
    return 0;
}

/* Only files of our own folder, by their names in it, whatever a test that failed left in the variables. */
static int after_each(void **state SH_UNUSED)
{
    static const char *const names[] = {"hook", "output", "stdout", "fifo"};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < SH_COUNT(names); i++)
        unlinkat(fd, names[i], 0);
    if (fd >= 0)
        close(fd);
    return rmdir(folder);
}

/* A shell script in which every @ is the output file. */
static void make_hook(const char *script)
{
    FILE *f = fopen(hook, "w");
    assert_non_null(f);
    fputs("#!/bin/sh\n", f);
    for (; *script; script++)
        *script == '@' ? fputs(output, f) : fputc(*script, f);
    assert_int_equal(fchmod(fileno(f), 0700), 0);
    assert_int_equal(fclose(f), 0);
}

static const char *read_output(void)
{
    static char text[4096];
    memset(text, 0, sizeof(text));
    FILE *f = fopen(output, "r");
    if (f) {
        size_t n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = '\0';
        fclose(f);
    }
    return text;
}

static void note_done(const char *installer, const char *what, void *user SH_UNUSED)
{
    assert_string_equal(installer, "hook");
    assert_string_equal(what, config.hook);
    done_count++;
}

static enum sh_cause run_item(void)
{
    sh_detail_clear();
    return sh_installer_hook.item(&config, "my photo.jpg", "/some/my photo.jpg", note_done, NULL);
}

static void the_argument_is_the_path_and_nothing_else(void **state SH_UNUSED)
{
    make_hook("echo \"$#|$0|$1\" > @\n");
    assert_int_equal(run_item(), SH_OK);
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "1|%s|/some/my photo.jpg\n", hook);
    assert_string_equal(read_output(), wanted);
    assert_int_equal(done_count, 1);
}

static void the_environment_is_exact(void **state SH_UNUSED)
{
    make_hook("/usr/bin/tr '\\000' '\\n' < /proc/$$/environ > @\n");
    setenv("SIMHOP_TEST_LEAK", "1", 1);
    assert_int_equal(run_item(), SH_OK);
    assert_string_equal(read_output(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
                                       "LANG=C.UTF-8\n"
                                       "SIMHOP_ITEM=my photo.jpg\n"
                                       "SIMHOP_KIND=item\n");
    Simhop__Bundle bundle = SIMHOP__BUNDLE__INIT;
    assert_int_equal(
        sh_installer_hook.bundle(&config, &bundle, "/some/lines.bundle", note_done, NULL), SH_OK);
    assert_non_null(strstr(read_output(), "SIMHOP_ITEM=lines.bundle\nSIMHOP_KIND=bundle\n"));
}

static void descriptors_and_group_are_its_own(void **state SH_UNUSED)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(null, 20), 20); /* without CLOEXEC */
    assert_int_equal(dup2(null, 40), 40);
    close(null);
    make_hook("exec > @\n"
              "[ -e /proc/$$/fd/20 ] && echo 20 leaks\n"
              "[ -e /proc/$$/fd/40 ] && echo 40 leaks\n"
              "/bin/readlink /proc/$$/fd/0\n"
              "read -r _ _ _ _ group _ < /proc/$$/stat\n"
              "[ \"$group\" = $$ ] && echo own group\n");
    assert_int_equal(run_item(), SH_OK);
    close(20);
    close(40);
    assert_string_equal(read_output(), "/dev/null\nown group\n");
}

/* Runs with our stderr in the output file and our stdout in another one, which must stay empty. */
static enum sh_cause run_captured(const char *path)
{
    char stdout_path[128];
    struct stat st;
    snprintf(stdout_path, sizeof(stdout_path), "%s/stdout", folder);
    fflush(NULL);
    int out = dup(1), err = dup(2);
    int to_out = open(stdout_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int to_err = open(output, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dup2(to_out, 1);
    dup2(to_err, 2);
    enum sh_cause cause = sh_installer_hook.item(&config, "name", path, note_done, NULL);
    dup2(out, 1);
    dup2(err, 2);
    assert_int_equal(fstat(to_out, &st), 0);
    assert_int_equal(st.st_size, 0);
    close(to_out);
    close(to_err);
    close(out);
    close(err);
    unlink(stdout_path);
    return cause;
}

/* The hook is a copy of cat, since a shell would unblock signals by itself. */
static void signals_are_as_at_the_beginning(void **state SH_UNUSED)
{
    static char program[1 << 20];
    sigset_t blocked, before;
    FILE *f = fopen("/bin/cat", "r");
    assert_non_null(f);
    size_t n = fread(program, 1, sizeof(program), f);
    fclose(f);
    f = fopen(hook, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(program, 1, n, f), n);
    assert_int_equal(fchmod(fileno(f), 0700), 0);
    assert_int_equal(fclose(f), 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    enum sh_cause cause = run_captured("/proc/self/status");
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, old);
    assert_int_equal(cause, SH_OK);
    assert_non_null(strstr(read_output(), "SigBlk:\t0000000000000000\n"));
    assert_non_null(strstr(read_output(), "SigIgn:\t0000000000000000\n"));
}

static void its_output_goes_to_stderr(void **state SH_UNUSED)
{
    make_hook("echo to stdout\necho to stderr >&2\n");
    assert_int_equal(run_captured("/x"), SH_OK);
    assert_string_equal(read_output(), "to stdout\nto stderr\n");
}

static void a_failing_hook_says_how(void **state SH_UNUSED)
{
    make_hook("exit 3\n");
    assert_int_equal(run_item(), SH_INSTALL_HOOK_FAILED);
    assert_non_null(strstr(sh_detail(), "exit status 3"));
    make_hook("kill -9 $$\n");
    assert_int_equal(run_item(), SH_INSTALL_HOOK_FAILED);
    assert_non_null(strstr(sh_detail(), "signal 9"));
    assert_int_equal(done_count, 0);
}

static void what_cannot_run_is_missing(void **state SH_UNUSED)
{
    assert_int_equal(run_item(), SH_INSTALL_HOOK_MISSING); /* no file */
    make_hook("exit 0\n");
    assert_int_equal(chmod(hook, 0600), 0);
    assert_int_equal(run_item(), SH_INSTALL_HOOK_MISSING);
    FILE *f = fopen(hook, "w");
    fputs("#!/nonexistent/interpreter\n", f);
    fclose(f);
    assert_int_equal(chmod(hook, 0700), 0);
    assert_int_equal(run_item(), SH_INSTALL_HOOK_MISSING);
    config.hook = folder;
    assert_int_equal(run_item(), SH_INSTALL_HOOK_MISSING);
    config.hook = "bin/true";
    assert_int_equal(run_item(), SH_INSTALL_HOOK_MISSING);
    assert_non_null(strstr(sh_detail(), "absolute"));
    config.hook = "true";
    assert_int_equal(run_item(), SH_INSTALL_HOOK_MISSING);
    assert_int_equal(done_count, 0);
}

static void without_a_hook_there_is_nothing_to_do(void **state SH_UNUSED)
{
    assert_true(sh_installer_hook.applies(&config));
    config.hook = NULL;
    assert_false(sh_installer_hook.applies(&config));
    assert_int_equal(run_item(), SH_OK);
    assert_int_equal(done_count, 0);
}

/* Is the process, whose number the hook wrote, gone? */
static bool is_gone(void)
{
    pid_t pid = (pid_t)atoi(read_output());
    assert_true(pid > 1);
    for (int i = 0; i < 100; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "r");
        char state = 'X';
        if (f && fscanf(f, "%*d %*s %c", &state) != 1)
            state = 'X';
        if (f)
            fclose(f);
        if (state == 'X' || state == 'Z')
            return true;
        usleep(20000);
    }
    return false;
}

static void a_hook_that_hangs_is_stopped(void **state SH_UNUSED)
{
    config.hook_timeout_ms = HANGS_MS;
    make_hook("/bin/sleep 1000 &\necho $! > @\nwait\n");
    assert_int_equal(run_item(), SH_INSTALL_HOOK_TIMEOUT);
    assert_non_null(strstr(sh_detail(), "4000 ms"));
    assert_true(is_gone()); /* its child as well */
    assert_int_equal(done_count, 0);
}

/* Two seconds; a machine that was slower than that is given another chance. */
static void the_whole_group_has_time_to_clean_up(void **state SH_UNUSED)
{
    config.hook_timeout_ms = HANGS_MS;
    make_hook("( trap 'sleep 0.3; echo cleaned > @; exit' TERM\n"
              "while :; do sleep 0.1; done ) &\n"
              "wait\n");
    struct timespec from, now;
    unsigned tries = 0;
    do {
        clock_gettime(CLOCK_MONOTONIC, &from);
        assert_int_equal(run_item(), SH_INSTALL_HOOK_TIMEOUT);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (++tries < 5 && (now.tv_sec - from.tv_sec) * 1000 >= HANGS_MS + 2000);
    assert_string_equal(read_output(), "cleaned\n");
}

/* A descriptor that the hook itself makes readable, once it runs. */
static int fifo(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd > 0);
    return fd;
}

static void a_request_to_stop_stops_the_hook(void **state SH_UNUSED)
{
    config.cancel_fd = fifo();
    make_hook("echo $$ > @\necho x > \"${0%/*}/fifo\"\nexec /bin/sleep 1000\n");
    assert_int_equal(run_item(), SH_SESSION_INTERRUPTED);
    assert_true(is_gone());
    assert_int_equal(done_count, 0);
    /* It still stands there: the next one does not begin. */
    make_hook("echo again > @\n");
    assert_int_equal(run_item(), SH_SESSION_INTERRUPTED);
    assert_string_not_equal(read_output(), "again\n");
    close(config.cancel_fd);
}

/* Of several hooks each has its own time, and all together what the person gave. */
static void the_deadline_of_all_stops_the_hook(void **state SH_UNUSED)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    config.ends_at = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + HANGS_MS;
    make_hook("echo $$ > @\nexec /bin/sleep 1000\n");
    assert_int_equal(run_item(), SH_SESSION_DEADLINE);
    assert_true(is_gone());
    make_hook("echo again > @\n");
    assert_int_equal(run_item(), SH_SESSION_DEADLINE);
    assert_string_not_equal(read_output(), "again\n");
    assert_int_equal(done_count, 0);
}

static void a_hook_that_ignores_the_signal_is_killed(void **state SH_UNUSED)
{
    config.hook_timeout_ms = HANGS_MS;
    make_hook("trap '' TERM\necho $$ > @\nwhile :; do /bin/sleep 1; done\n");
    assert_int_equal(run_item(), SH_INSTALL_HOOK_TIMEOUT);
    assert_true(is_gone());
}

static void the_list_of_installers_ends(void **state SH_UNUSED)
{
    assert_ptr_equal(sh_installers[0], &sh_installer_nm);
    assert_ptr_equal(sh_installers[1], &sh_installer_hook);
    assert_null(sh_installers[2]);
    assert_null(sh_installer_nm.item);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, before_each, after_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_argument_is_the_path_and_nothing_else),
        TEST(the_environment_is_exact),
        TEST(descriptors_and_group_are_its_own),
        TEST(signals_are_as_at_the_beginning),
        TEST(its_output_goes_to_stderr),
        TEST(a_failing_hook_says_how),
        TEST(what_cannot_run_is_missing),
        TEST(without_a_hook_there_is_nothing_to_do),
        TEST(a_hook_that_hangs_is_stopped),
        TEST(the_whole_group_has_time_to_clean_up),
        TEST(a_request_to_stop_stops_the_hook),
        TEST(the_deadline_of_all_stops_the_hook),
        TEST(a_hook_that_ignores_the_signal_is_killed),
        TEST(the_list_of_installers_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
