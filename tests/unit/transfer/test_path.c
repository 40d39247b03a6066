/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/path.h"

#include <errno.h>

#include "unit/transfer/util.h"

#define CONNECT   .phase = SH_PATH_CONNECT
#define PROBE     .phase = SH_PATH_PROBE
#define RUN       .phase = SH_PATH_RUN
#define THERE     .neighbour = SH_PATH_NEIGHBOUR_THERE
#define SILENT    .neighbour = SH_PATH_NEIGHBOUR_SILENT
#define LISTENS   .view = true, .listening = true
#define IS_CLOSED .view = true, .listening = false

/* A fault, what a socket and the kernel show of it, and what it is called. */
static const struct row {
    const char *fault;
    struct sh_path_facts facts;
    enum sh_cause seen, verdict;
} rows[] = {
    /* connect */
    {"nobody listens, and the other end says so",
     {CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET, IS_CLOSED, THERE},
     SH_LINK_REFUSED,
     SH_LINK_NOT_LISTENING},
    {"a firewall that rejects with a reset: the other end listens",
     {CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET, LISTENS, THERE},
     SH_LINK_REFUSED,
     SH_LINK_FIREWALL_REJECT},
    {"one of both, nobody can say which",
     {CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET, THERE},
     SH_LINK_REFUSED,
     SH_LINK_REFUSED},
    {"a firewall that rejects with port-unreachable",
     {CONNECT, .error = ECONNREFUSED, .after = 1, .answer = SH_PATH_ICMP},
     SH_LINK_REFUSED,
     SH_LINK_FIREWALL_REJECT},
    {"a firewall that rejects with admin-prohibited or host-unreachable",
     {CONNECT, .error = EHOSTUNREACH, .after = 1, .answer = SH_PATH_ICMP, THERE},
     SH_LINK_REFUSED,
     SH_LINK_FIREWALL_REJECT},
    {"a firewall that drops, in the same network",
     {CONNECT, .after = 3800, THERE},
     SH_LINK_TIMEOUT,
     SH_LINK_FIREWALL_DROP},
    {"the same by the kernel's own time-out",
     {CONNECT, .error = ETIMEDOUT, .after = 3000, THERE},
     SH_LINK_TIMEOUT,
     SH_LINK_FIREWALL_DROP},
    {"a firewall that drops behind a router: the other end listens and saw nobody",
     {CONNECT, .after = 3800, LISTENS},
     SH_LINK_TIMEOUT,
     SH_LINK_FIREWALL_DROP},
    {"the same where others came through",
     {CONNECT, .after = 3800, LISTENS, .connections = 3},
     SH_LINK_TIMEOUT,
     SH_LINK_TIMEOUT},
    {"silence, and the other end has stopped to listen",
     {CONNECT, .after = 3800, IS_CLOSED, THERE},
     SH_LINK_TIMEOUT,
     SH_LINK_NOT_LISTENING},
    {"silence, and nothing else is known",
     {CONNECT, .after = 3800},
     SH_LINK_TIMEOUT,
     SH_LINK_TIMEOUT},
    {"no route, own address gone, own interface down",
     {CONNECT, .error = ENETUNREACH},
     SH_LINK_UNREACHABLE,
     SH_LINK_UNREACHABLE},
    {"a route that prohibits",
     {CONNECT, .error = EACCES},
     SH_LINK_UNREACHABLE,
     SH_LINK_UNREACHABLE},
    {"a route that is a black hole",
     {CONNECT, .error = EINVAL},
     SH_LINK_UNREACHABLE,
     SH_LINK_UNREACHABLE},
    {"peer gone or kept apart: our own kernel gives up on the neighbour, with an ICMP error",
     {CONNECT, .error = EHOSTUNREACH, .after = 3100, .answer = SH_PATH_ICMP, SILENT},
     SH_LINK_UNREACHABLE,
     SH_LINK_OUT_OF_REACH},
    {"the same where the entry is gone already",
     {CONNECT, .error = EHOSTUNREACH, .after = 3100, .answer = SH_PATH_ICMP},
     SH_LINK_UNREACHABLE,
     SH_LINK_OUT_OF_REACH},
    {"the same, known from before",
     {CONNECT, .error = EHOSTUNREACH, .answer = SH_PATH_ICMP, SILENT},
     SH_LINK_REFUSED,
     SH_LINK_OUT_OF_REACH},
    {"the same, given up before the kernel does",
     {CONNECT, .after = 3800, SILENT, LISTENS},
     SH_LINK_TIMEOUT,
     SH_LINK_OUT_OF_REACH},
    {"an error at once that nobody sent us",
     {CONNECT, .error = EHOSTUNREACH, .after = 1},
     SH_LINK_REFUSED,
     SH_LINK_REFUSED},
    {"a VPN has the route",
     {CONNECT, .after = 3800, .route = SH_PATH_ROUTE_STOLEN, LISTENS},
     SH_LINK_TIMEOUT,
     SH_LINK_ROUTE_STOLEN},
    {"a VPN that rejects what it took",
     {CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_ICMP, .route = SH_PATH_ROUTE_STOLEN},
     SH_LINK_REFUSED,
     SH_LINK_ROUTE_STOLEN},
    {"the right route",
     {CONNECT, .after = 3800, .route = SH_PATH_ROUTE_OURS},
     SH_LINK_TIMEOUT,
     SH_LINK_TIMEOUT},
    /* connected, but not up */
    {"full segments are lost",
     {PROBE, .acked = 600, .unacked = 4100, .small_answered = true, .mute = 100},
     SH_LINK_MTU,
     SH_LINK_MTU},
    {"the first of all was one",
     {PROBE, .acked = 0, .unacked = 1500, .mute = 100},
     SH_LINK_TIMEOUT,
     SH_LINK_MTU},
    {"small ones too",
     {PROBE, .acked = 0, .unacked = 400, .mute = 100},
     SH_LINK_TIMEOUT,
     SH_LINK_TIMEOUT},
    {"a program that is stopped: its kernel takes connections",
     {PROBE, .acked = 500, .mute = 9000, THERE},
     SH_LINK_TIMEOUT,
     SH_LINK_PEER_HUNG},
    {"it speaks over another link, so the way back is blocked",
     {PROBE, .acked = 500, .mute = 100, THERE},
     SH_LINK_TIMEOUT,
     SH_LINK_TIMEOUT},
    {"it does not know the key: it said so",
     {PROBE, .acked = 500, .closed = true},
     SH_TLS_SESSION_UNKNOWN,
     SH_TLS_SESSION_UNKNOWN},
    {"it closes before it says anything",
     {PROBE, .acked = 500, .closed = true},
     SH_CONNECT_LOST,
     SH_CONNECT_LOST},
    /* running */
    {"silent loss",
     {RUN, .acked = 5000, .unacked = 100, .mute = 100},
     SH_LINK_STALLED,
     SH_LINK_STALLED},
    {"the same by TCP_USER_TIMEOUT",
     {RUN, .error = ETIMEDOUT, .acked = 5000, .unacked = 100, .mute = 5200},
     SH_CONNECT_LOST,
     SH_CONNECT_LOST},
    {"peer killed: reset",
     {RUN, .error = ECONNRESET, .closed = true},
     SH_CONNECT_LOST,
     SH_LINK_PEER_GONE},
    {"peer killed: end of stream",
     {RUN, .closed = true, .acked = 9},
     SH_CONNECT_LOST,
     SH_LINK_PEER_GONE},
    {"peer stopped", {RUN, .acked = 5000, .mute = 5000}, SH_LINK_STALLED, SH_LINK_PEER_HUNG},
    {"peer stopped, and we had more to send",
     {RUN, .acked = 5000, .zero_window = true, .mute = 5000},
     SH_LINK_STALLED,
     SH_LINK_PEER_HUNG},
    {"peer answers pings and nothing else, on that very link",
     {RUN, .acked = 5000, .pings_answered = true, .mute = 100},
     SH_LINK_STALLED,
     SH_LINK_PEER_HUNG},
    {"it speaks over another link",
     {RUN, .acked = 5000, .mute = 100},
     SH_LINK_STALLED,
     SH_LINK_STALLED},
    {"it went out of reach",
     {RUN, .acked = 5000, .unacked = 50, .mute = 5000, SILENT},
     SH_LINK_STALLED,
     SH_LINK_OUT_OF_REACH},
    {"a VPN came up",
     {RUN, .acked = 5000, .unacked = 50, .route = SH_PATH_ROUTE_STOLEN},
     SH_LINK_STALLED,
     SH_LINK_ROUTE_STOLEN},
    {"own address gone",
     {RUN, .error = ENETUNREACH, .acked = 5000, .mute = 5000},
     SH_CONNECT_LOST,
     SH_CONNECT_LOST},
    /* not a way at all */
    {"a link that knows nothing of ways",
     {.phase = SH_PATH_NONE, SILENT},
     SH_LINK_STALLED,
     SH_LINK_STALLED},
    {"what Wi-Fi said", {CONNECT, .after = 3800, SILENT}, SH_WIFI_NOT_FOUND, SH_WIFI_NOT_FOUND},
};

static void test_rows(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        enum sh_cause verdict = sh_path_judge(&rows[i].facts, rows[i].seen);
        if (verdict != rows[i].verdict)
            print_error("%s\n", rows[i].fault);
        assert_cause(verdict, rows[i].verdict);
    }
}

/* It is asked for where it would decide, and only there: it costs the person up to a second. */
static void test_wants_view(void **state SH_UNUSED)
{
    static const struct {
        struct sh_path_facts facts;
        bool wants;
    } table[] = {
        {{CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET}, true},
        {{CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET, LISTENS}, false},
        {{CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_ICMP}, false},
        {{CONNECT, .after = 3800}, true},
        {{CONNECT, .after = 3800, THERE}, true}, /* nobody may listen any more */
        {{CONNECT, .after = 3800, SILENT}, false},
        {{CONNECT, .error = ENETUNREACH}, false},
        {{CONNECT, .after = 3800, .route = SH_PATH_ROUTE_STOLEN}, false},
        {{PROBE, .small_answered = true}, false},
        {{RUN, .acked = 10}, false},
        {{.phase = SH_PATH_NONE}, false},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++)
        assert_int_equal(sh_path_wants_view(&table[i].facts), table[i].wants);
}

static void test_telling(void **state SH_UNUSED)
{
    static const enum sh_cause order[] = {
        SH_OK,           SH_LINK_UNREACHABLE,  SH_LINK_TIMEOUT,       SH_LINK_REFUSED,
        SH_LINK_STALLED, SH_LINK_OUT_OF_REACH, SH_LINK_FIREWALL_DROP, SH_LINK_FIREWALL_REJECT,
        SH_LINK_MTU,     SH_TLS_KEY_MISMATCH};
    for (size_t i = 0; i + 1 < SH_COUNT(order); i++)
        assert_true(sh_path_telling(order[i]) < sh_path_telling(order[i + 1]));
    for (size_t i = 0; i < SH_COUNT(order); i++)
        assert_int_equal(sh_path_is_verdict(order[i]), i >= 5 && i <= 8);
    assert_int_equal(sh_path_telling(SH_WIFI_NOT_FOUND), sh_path_telling(SH_TLS_KEY_MISMATCH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_wants_view),
        cmocka_unit_test(test_telling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
