/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A message bus of our own (dbus-daemon on a socket in a temporary folder); client and service live in one loop. */
#include "system/bus.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/proto/check.h"

#define SERVICE "org.simhop.Test"
#define PATH    "/org/simhop/test"
#define MIB     1048576u

static char folder[64], socket_path[96];
static pid_t daemon_pid;
static struct event_base *base;
static struct sh_bus *client, *service;
static unsigned answers, errors, losts;
static size_t octets;
static enum sh_cause lost_cause;
static char error_name[128];

/* ---- The daemon ---- */

static const char config[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
    " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>\n"
    "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"*\"/>\n"
    "<allow receive_type=\"*\"/></policy>\n"
    "<limit name=\"max_replies_per_connection\">10000</limit>\n"
    "<limit name=\"max_match_rules_per_connection\">1</limit></busconfig>\n";

static void run_daemon(const char *path, int out, int err)
{
    char config_option[128], address_option[64];
    snprintf(config_option, sizeof(config_option), "--config-file=%s", path);
    snprintf(address_option, sizeof(address_option), "--print-address=%d", out);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(err, STDERR_FILENO); /* it complains of limits that it may not raise */
    execlp("dbus-daemon", "dbus-daemon", config_option, address_option, "--nofork", "--nopidfile",
           (char *)NULL);
    _exit(127);
}

/* Skips the test where there is no such program. */
static void start_daemon(void)
{
    char path[96], text[512];
    int out[2], err[2], status = 0;
    snprintf(path, sizeof(path), "%s/bus.conf", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, config, socket_path);
    fclose(file);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    daemon_pid = fork();
    if (daemon_pid == 0)
        run_daemon(path, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    ssize_t n = read(out[0], text, sizeof(text)); /* it listens once it says where */
    if (n <= 0) {
        waitpid(daemon_pid, &status, 0);
        daemon_pid = 0;
        n = read(err[0], text, sizeof(text) - 1);
        text[SH_MAX(n, 0)] = '\0';
    }
    close(out[0]);
    close(err[0]);
    if (daemon_pid > 0)
        return;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 127)
        fail_msg("dbus-daemon does not start: %s", text);
    print_message("skipped: no dbus-daemon here\n");
    skip();
}

static void stop_daemon(void)
{
    if (daemon_pid <= 0)
        return;
    kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, NULL, 0);
    daemon_pid = 0;
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof(command), "/bin/rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* A folder, a loop, and the address of a bus that is not there yet. */
static int setup(void **state SH_UNUSED)
{
    char address[128];
    strcpy(folder, "/tmp/simhop-bus.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(address, sizeof(address), "unix:path=%s", socket_path);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
    base = event_base_new();
    answers = errors = losts = 0;
    octets = 0;
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    sh_bus_free(client);
    sh_bus_free(service);
    client = service = NULL;
    event_base_free(base);
    stop_daemon();
    remove_folder();
    return 0;
}

/* ---- The loop ---- */

static void on_limit(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    *(bool *)user = true;
}

/* Turns the loop until the condition holds; a test that hangs fails after 30 s. */
#define turn_until(condition)                                                                      \
    do {                                                                                           \
        bool late = false;                                                                         \
        struct timeval limit = {.tv_sec = 30};                                                     \
        struct event *timer = evtimer_new(base, on_limit, &late);                                  \
        evtimer_add(timer, &limit);                                                                \
        while (!(condition) && !late)                                                              \
            event_base_loop(base, EVLOOP_ONCE);                                                    \
        event_free(timer);                                                                         \
        assert_false(late);                                                                        \
    } while (0)

/* Whatever is still due soon. */
static void turn_a_moment(void)
{
    bool over = false;
    struct timeval moment = {.tv_usec = 100000};
    struct event *timer = evtimer_new(base, on_limit, &over);
    evtimer_add(timer, &moment);
    while (!over)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(timer);
}

/* ---- The service ---- */

static unsigned held;

static int on_method(sd_bus_message *m, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    const void *bytes = NULL;
    size_t n = 0;
    if (sd_bus_message_is_method_call(m, SERVICE, "Hold")) { /* never answered */
        held++;
        return 1;
    }
    if (sd_bus_message_is_method_call(m, SERVICE, "Fail"))
        return sd_bus_reply_method_errorf(m, "org.simhop.Test.No", "no");
    if (!sd_bus_message_is_method_call(m, SERVICE, "Echo"))
        return 0;
    sd_bus_message *reply = NULL;
    int r = sd_bus_message_read_array(m, 'y', &bytes, &n);
    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_append_array(reply, 'y', bytes, n);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    sd_bus_message_unref(reply);
    return r < 0 ? r : 1;
}

static bool named;

static int on_named(sd_bus_message *m, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    assert_false(sd_bus_message_is_method_error(m, NULL));
    named = true;
    return 1;
}

static void on_lost(enum sh_cause cause, void *user)
{
    losts++;
    lost_cause = cause;
    assert_ptr_equal(user, &losts);
}

static void open_both(void)
{
    named = false;
    held = 0;
    assert_ok(sh_bus_open(base, on_lost, &losts, &service));
    assert_ok(sh_bus_open(base, on_lost, &losts, &client));
    assert_true(sd_bus_add_object(sh_bus_sd(service), NULL, PATH, on_method, NULL) >= 0);
    assert_true(sd_bus_request_name_async(sh_bus_sd(service), NULL, SERVICE, 0, on_named, NULL) >=
                0);
    sh_bus_kick(service);
    turn_until(named);
}

/* ---- The client ---- */

static int on_answer(sd_bus_message *m, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;
    answers++;
    if (sd_bus_message_is_method_error(m, NULL)) {
        errors++;
        snprintf(error_name, sizeof(error_name), "%s", sd_bus_message_get_error(m)->name);
        return 0;
    }
    assert_true(sd_bus_message_read_array(m, 'y', (const void **)&bytes, &n) >= 0);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != (uint8_t)(i * 31))
            fail_msg("octet %zu of the answer is wrong", i);
    }
    octets += n;
    return 0;
}

/* Calls a method with n octets. */
static enum sh_cause call_with(const char *member, size_t n, sd_bus_message_handler_t answered,
                               unsigned limit_ms, sd_bus_slot **ret_slot)
{
    sd_bus_message *m = NULL;
    void *bytes = NULL;
    int r = sd_bus_message_new_method_call(sh_bus_sd(client), &m, SERVICE, PATH, SERVICE, member);
    assert_true(r >= 0);
    assert_true(sd_bus_message_append_array_space(m, 'y', n, &bytes) >= 0);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(i * 31);
    enum sh_cause cause = sh_bus_call(client, m, answered, NULL, limit_ms, ret_slot);
    sd_bus_message_unref(m);
    return cause;
}

static void call(const char *member, size_t n)
{
    assert_ok(call_with(member, n, on_answer, 0, NULL));
}

/* ---- Tests ---- */

static void test_no_socket(void **state SH_UNUSED)
{
    assert_cause(sh_bus_open(base, on_lost, &losts, &client), SH_ENV_NO_BUS);
    assert_null(client);
    assert_non_null(strstr(sh_detail(), strerror(ENOENT)));
    sh_bus_free(NULL);
}

static void test_calls(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    call("Echo", 100);
    turn_until(answers == 1);
    assert_int_equal(octets, 100);
    call("Fail", 0);
    turn_until(answers == 2);
    assert_string_equal(error_name, "org.simhop.Test.No");
    assert_int_equal(losts, 0);
}

/* Before the connection is made: the call waits for it. */
static void test_call_at_once(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    sh_bus_free(client);
    client = NULL;
    assert_ok(sh_bus_open(base, on_lost, &losts, &client));
    call("Echo", 1);
    turn_until(answers == 1);
    assert_int_equal(errors, 0);
}

static void test_never_answered(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    turn_a_moment(); /* nothing else wakes the bus then */
    assert_ok(call_with("Hold", 0, on_answer, 200, NULL));
    turn_until(answers == 1);
    turn_until(held == 1);
    assert_int_equal(errors, 1);
    call("Echo", 5); /* and the bus still works */
    turn_until(answers == 2);
    assert_int_equal(octets, 5);
}

static void test_forgotten(void **state SH_UNUSED)
{
    sd_bus_slot *slot = NULL;
    start_daemon();
    open_both();
    assert_ok(call_with("Echo", 7, on_answer, 0, &slot));
    sd_bus_slot_unref(slot);
    call("Echo", 5);
    turn_until(answers == 1);
    turn_a_moment();
    assert_int_equal(octets, 5);
}

static void shrink(struct sh_bus *bus)
{
    int size = 8192;
    int fd = sd_bus_get_fd(sh_bus_sd(bus));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

/* Far more than their sockets hold (sd-bus asks for 8 MiB): written and read in pieces. */
static void test_large(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    shrink(client);
    shrink(service);
    for (unsigned i = 0; i < 3; i++)
        assert_ok(call_with("Echo", MIB + i, on_answer, 25000, NULL));
    turn_until(answers == 3);
    if (errors > 0)
        fail_msg("%s", error_name);
    assert_int_equal(octets, 3 * MIB + 3);
}

static void test_many(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    for (unsigned i = 0; i < 3000; i++)
        assert_ok(call_with("Echo", i % 50, on_answer, 25000, NULL));
    turn_until(answers == 3000);
    turn_a_moment();
    assert_int_equal(answers, 3000);
    assert_int_equal(errors, 0);
}

static void test_killed(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    call("Hold", 0);
    call("Hold", 0);
    turn_until(held == 2);
    stop_daemon();
    turn_until(losts == 2); /* the service's and the client's, once each */
    assert_int_equal(answers, 2);
    assert_int_equal(errors, 2);
    assert_cause(lost_cause, SH_ENV_NO_BUS);
    assert_cause(call_with("Echo", 0, on_answer, 0, NULL), SH_ENV_NO_BUS);
    sh_bus_kick(client);
    turn_a_moment();
    assert_int_equal(losts, 2);
    assert_int_equal(answers, 2);
}

static void on_lost_free(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED)
{
    losts++;
    sh_bus_free(client);
    client = NULL;
}

static void test_freed_when_lost(void **state SH_UNUSED)
{
    start_daemon();
    assert_ok(sh_bus_open(base, on_lost_free, NULL, &client));
    call("Echo", 0);
    turn_until(answers == 1); /* an error: nobody has that name */
    stop_daemon();
    turn_until(losts == 1);
    assert_null(client);
    turn_a_moment();
    assert_int_equal(losts, 1);
}

static int on_answer_free(sd_bus_message *m SH_UNUSED, void *user SH_UNUSED,
                          sd_bus_error *error SH_UNUSED)
{
    answers++;
    sh_bus_free(client);
    client = NULL;
    return 0;
}

/* With calls that wait, and with what sd-bus still has in its queue. */
static void test_freed_in_handler(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    call("Hold", 0);
    assert_ok(call_with("Echo", 10, on_answer_free, 0, NULL));
    for (unsigned i = 0; i < 10; i++)
        call("Echo", 10);
    turn_until(answers == 1);
    turn_a_moment();
    assert_null(client);
    assert_int_equal(answers, 1);
    assert_int_equal(losts, 0);
}

static unsigned heard[2];

static int on_heard(sd_bus_message *m SH_UNUSED, void *user, sd_bus_error *error SH_UNUSED)
{
    (*(unsigned *)user)++;
    return 0;
}

static void emit(const char *member)
{
    assert_true(sd_bus_emit_signal(sh_bus_sd(service), PATH, SERVICE, member, "") >= 0);
    sh_bus_kick(service);
}

/* A rule that the bus refuses costs what it would have brought, not the connection. */
static void test_matches(void **state SH_UNUSED)
{
    static const char *const rules[] = {"type='signal',member='First'",
                                        "type='signal',member='Second'"};
    sd_bus_slot *slots[2] = {NULL};
    start_daemon();
    open_both();
    heard[0] = heard[1] = 0;
    for (unsigned i = 0; i < 2; i++)
        assert_ok(sh_bus_match(client, rules[i], on_heard, &heard[i], &slots[i]));
    call("Echo", 5);
    turn_until(answers == 1); /* the bus has answered what came before */
    emit("Second");
    emit("First");
    turn_until(heard[0] == 1);
    assert_int_equal(heard[1], 0);
    sd_bus_slot_unref(slots[0]);
    sd_bus_slot_unref(slots[1]);
    emit("First");
    call("Echo", 5);
    turn_until(answers == 2);
    assert_int_equal(heard[0], 1);
    assert_int_equal(errors, 0);
    assert_int_equal(losts, 0);
}

/* A handler that calls again. */
static unsigned rounds;
static int on_answer_again(sd_bus_message *m, void *user, sd_bus_error *error)
{
    if (++rounds < 20)
        assert_ok(call_with("Echo", rounds, on_answer_again, 0, NULL));
    return on_answer(m, user, error);
}

static void test_call_in_handler(void **state SH_UNUSED)
{
    start_daemon();
    open_both();
    rounds = 0;
    assert_ok(call_with("Echo", 0, on_answer_again, 0, NULL));
    turn_until(answers == 20);
    assert_int_equal(errors, 0);
}

/* Somebody listens there but never says a word. */
static void test_silent_bus(void **state SH_UNUSED)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    sh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_ok(sh_bus_open(base, on_lost, &losts, &client));
    call("Echo", 0);
    turn_until(losts == 1);
    assert_cause(lost_cause, SH_ENV_NO_BUS);
    turn_a_moment();
    assert_int_equal(losts, 1);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_no_socket),
        WITH(test_calls),
        WITH(test_call_at_once),
        WITH(test_never_answered),
        WITH(test_forgotten),
        WITH(test_large),
        WITH(test_many),
        WITH(test_killed),
        WITH(test_freed_when_lost),
        WITH(test_freed_in_handler),
        WITH(test_matches),
        WITH(test_call_in_handler),
        WITH(test_silent_bus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
