/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "unit/transfer/lan_ends.h"

static void test_offer(void **state SH_UNUSED)
{
    assert_int_equal(offer.kind, SIMHOP__LINK_KIND__LINK_KIND_LAN);
    assert_in_range(offer.port, 1, 65535);
    assert_in_range(offer.n_addresses, 1, 12);
    for (size_t i = 0; i < offer.n_addresses; i++) {
        const uint8_t *a = offer.addresses[i].data;
        assert_true(offer.addresses[i].len == 4 || offer.addresses[i].len == 16);
        if (offer.addresses[i].len == 16)
            assert_false(a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
        dialled = failed = accepted = 0; /* each one is reachable from this machine */
        dial_index(i);
        run_until(dialled + failed, IN_TIME_MS);
        assert_int_equal(dialled, 1);
        run_until(accepted, 1000);
        sh_stream_close(ends[0].stream);
        sh_stream_close(ends[1].stream);
        ends[0].stream = ends[1].stream = NULL;
    }
}

static void test_both_ways(void **state SH_UNUSED)
{
    connect_both();
    ends[0].to_send = ends[1].to_send = 8 * MIB;
    pump(&ends[0]);
    pump(&ends[1]);
    assert_true(sh_stream_pending(ends[0].stream) >= SH_STREAM_HIGH);
    run_until(ends[0].received == 8 * MIB && ends[1].received == 8 * MIB, IN_TIME_MS);
    assert_int_equal(ends[0].received, 8 * MIB);
    assert_int_equal(ends[1].received, 8 * MIB);
    assert_false(ends[0].wrong || ends[1].wrong);
    assert_int_equal(sh_stream_pending(ends[0].stream), 0);
}

/* What was sent before the close arrives, though the other side is sending too, and then its end
 * is seen. */
static void test_close_flushes(void **state SH_UNUSED)
{
    connect_both();
    ends[1].to_send = 1 * MIB;
    ends[0].to_send = 300000;
    pump(&ends[1]);
    pump(&ends[0]);
    run_a_little();
    sh_stream_close(ends[0].stream);
    ends[0].stream = NULL;
    run_until(ends[1].closed, 5000);
    assert_true(ends[1].closed);
    assert_in_range(ends[0].sent, SH_STREAM_HIGH, 300000); /* as much as had room */
    assert_int_equal(ends[1].received, ends[0].sent);
    assert_false(ends[1].wrong);
    assert_cause(ends[1].cause, SH_CONNECT_LOST);
}

/* The same when the process ends right after: little messages are in the kernel already. */
static void test_close_then_free(void **state SH_UNUSED)
{
    connect_both();
    ends[0].to_send = 5000;
    pump(&ends[0]);
    sh_stream_close(ends[0].stream);
    ends[0].stream = NULL;
    anchor->driver->free(anchor);
    anchor = NULL;
    run_until(ends[1].closed, IN_TIME_MS);
    assert_int_equal(ends[1].received, 5000);
    assert_true(ends[1].closed);
}

/* A stream outlives its link. */
static void test_free_keeps_streams(void **state SH_UNUSED)
{
    connect_both();
    anchor->driver->free(anchor);
    anchor = NULL;
    ends[0].to_send = 100000;
    pump(&ends[0]);
    run_until(ends[1].received == 100000, IN_TIME_MS);
    assert_int_equal(ends[1].received, 100000);
}

static void test_refused(void **state SH_UNUSED)
{
    struct sh_attempt attempt = attempt_to(0);
    anchor->driver->free(anchor); /* nobody listens there any more */
    anchor = NULL;
    assert_ok(secondary->driver->dial(secondary, &attempt));
    run_until(failed, IN_TIME_MS);
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_LINK_REFUSED);
    assert_int_equal(failed_facts.phase, SH_PATH_CONNECT);
    assert_int_equal(failed_facts.error, ECONNREFUSED);
    assert_int_equal(failed_facts.answer, SH_PATH_RESET);
    assert_int_not_equal(failed_facts.route, SH_PATH_ROUTE_STOLEN);
}

static void test_unreachable(void **state SH_UNUSED)
{
    struct sh_attempt attempt = {
        .id = 7, .address = {255, 255, 255, 255}, .address_len = 4, .port = 9};
    static const size_t lengths[] = {4, 0}; /* a broadcast, and no address at all */
    for (size_t i = 0; i < SH_COUNT(lengths); i++) {
        failed = 0;
        attempt.address_len = lengths[i];
        assert_ok(secondary->driver->dial(secondary, &attempt));
        assert_int_equal(failed, 0);
        run_until(failed, IN_TIME_MS);
        assert_int_equal(failed, 1);
        assert_cause(failed_cause, SH_LINK_UNREACHABLE);
    }
}

static void test_cancel(void **state SH_UNUSED)
{
    dial_index(0);
    secondary->driver->cancel(secondary, 7);
    secondary->driver->cancel(secondary, 7);
    secondary->driver->cancel(secondary, 8);
    run_until(dialled + failed, 200);
    assert_int_equal(dialled + failed, 0);
}

/* Two hundred that connect and say nothing: sixty-four are kept, the rest is closed, and when
 * they go there is room again. */
static void test_silent_crowd(void **state SH_UNUSED)
{
    static int fds[200];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)offer.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    keep_silent = true;
    for (size_t i = 0; i < SH_COUNT(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof(to)), 0);
        run_a_little();
    }
    run_until(false, 100);
    assert_int_equal(accepted, SH_LAN_STREAMS);
    for (size_t i = 0; i < SH_COUNT(fds); i++)
        close(fds[i]);
    run_until(false, 100);
    keep_silent = false;
    accepted = 0;
    connect_both();
}

/* No descriptors left: the loop does not spin, and goes on when there are some again. */
static void test_no_descriptors(void **state SH_UNUSED)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)offer.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct rlimit old, none;
    sh_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 3; /* those that are open stay */
    keep_silent = true;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    const struct timeval while_none = {.tv_usec = 500000};
    event_base_loopexit(base, &while_none);
    event_base_loop(base, 0);
    getrusage(RUSAGE_SELF, &after);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(accepted, 0);
    timersub(&after.ru_utime, &before.ru_utime, &after.ru_utime);
    timersub(&after.ru_stime, &before.ru_stime, &after.ru_stime);
    assert_true(after.ru_utime.tv_usec + after.ru_stime.tv_usec < 250000);
    run_until(accepted, IN_TIME_MS);
    assert_int_equal(accepted, 1);
}

static void test_cut(void **state SH_UNUSED)
{
    connect_both();
    shape.cut = true;
    run_until(ends[0].closed && ends[1].closed, 2000);
    assert_true(ends[0].closed && ends[1].closed);
    assert_cause(ends[0].cause, SH_CONNECT_LOST);
    assert_cause(ends[1].cause, SH_CONNECT_LOST);
    sh_stream_send(ends[1].stream, SH_BYTES("x", 1)); /* does nothing, does not harm */
    dialled = accepted = 0;
    dial_index(0);
    run_until(dialled + failed, IN_TIME_MS);
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_LINK_REFUSED);
}

static void test_cut_after(void **state SH_UNUSED)
{
    shape.cut_after = 100000;
    connect_both();
    ends[1].to_send = MIB;
    pump(&ends[1]);
    run_until(ends[0].closed && ends[1].closed, 3000);
    assert_true(ends[0].closed && ends[1].closed);
    assert_int_equal(ends[0].received, 100000);
}

static void test_blackhole(void **state SH_UNUSED)
{
    connect_both();
    shape.blackhole_after = 50000;
    run_until(false, 150);
    ends[1].to_send = MIB;
    ends[0].to_send = MIB;
    pump(&ends[1]);
    run_until(ends[0].received >= 50000, IN_TIME_MS);
    run_until(false, 300);
    assert_int_equal(ends[0].received, 50000);
    uint64_t before = ends[1].received;
    pump(&ends[0]);
    run_until(false, 300);
    assert_int_equal(ends[1].received, before);
    assert_false(ends[0].closed || ends[1].closed);
    shape.blackhole_after = 0; /* it goes on where it was */
    run_until(ends[0].received == MIB && ends[1].received == MIB, IN_TIME_MS);
    assert_int_equal(ends[0].received, MIB);
    assert_int_equal(ends[1].received, MIB);
    assert_false(ends[0].wrong || ends[1].wrong);
}

static void test_dial_into_blackhole(void **state SH_UNUSED)
{
    shape.blackhole = true;
    dial_index(0);
    run_until(failed, SH_DIAL_MS + 10000);
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_LINK_TIMEOUT);
    assert_int_equal(failed_facts.phase,
                     SH_PATH_NONE); /* it is made up: the kernel knows nothing of it */
}

/* At most the rate, so at least this time; how much longer is the machine's. */
static void test_rate(void **state SH_UNUSED)
{
    shape.rate = 1000000;
    connect_both();
    sh_ms start = sh_now();
    ends[1].to_send = 500000;
    pump(&ends[1]);
    run_until(ends[0].received == 500000, IN_TIME_MS);
    assert_int_equal(ends[0].received, 500000);
    assert_false(ends[0].wrong);
    assert_true(sh_now() - start >= 450);
}

static void test_delay(void **state SH_UNUSED)
{
    shape.delay_ms = 300;
    connect_both();
    sh_ms start = sh_now();
    ends[1].to_send = 100000;
    pump(&ends[1]);
    run_until(ends[0].received > 0, 5000);
    assert_true(sh_now() - start >= 299);
    run_until(ends[0].received == 100000, IN_TIME_MS);
    assert_int_equal(ends[0].received, 100000);
    assert_false(ends[0].wrong);
}

/* With nothing but loopback that is offered; with nothing at all there is a cause. */
static void test_loopback_only(void **state SH_UNUSED)
{
    if (unshare(CLONE_NEWNET) < 0) {
        print_message("not tested: a network namespace needs root here\n");
        skip();
    }
    struct sh_link *alone = NULL;
    assert_ok(sh_link_lan_new(base, NULL, NULL, NULL, &link_ops, NULL, &alone));
    assert_cause(alone->driver->listen(alone, SH_BYTES(NULL, 0)), SH_LINK_NONE); /* lo is down */
    assert_int_equal(system("ip link set lo up"), 0);
    assert_ok(alone->driver->listen(alone, SH_BYTES(NULL, 0)));
    assert_true(offer.n_addresses >= 1);
    for (size_t i = 0; i < offer.n_addresses; i++)
        assert_true(offer.addresses[i].len == 16 || offer.addresses[i].data[0] == 127);
    alone->driver->free(alone);
    assert_ok(sh_link_lan_new(base, "nosuch0", NULL, NULL, &link_ops, NULL, &alone));
    assert_cause(alone->driver->listen(alone, SH_BYTES(NULL, 0)), SH_LINK_NONE);
    alone->driver->free(alone);
    alone = NULL;
    assert_cause(
        sh_link_lan_new(base, "a-name-that-no-interface-has", NULL, NULL, &link_ops, NULL, &alone),
        SH_LINK_NONE);
}

/* A listener at the port of the one before, though connections of that still linger; never beside one that lives. */
static void test_same_port(void **state SH_UNUSED)
{
    struct sh_link *again = NULL;
    connect_both();
    uint32_t port = offer.port;
    assert_ok(sh_link_lan_new(base, NULL, NULL, NULL, &link_ops, NULL, &again));
    sh_link_lan_prefer(again, (uint16_t)port);
    assert_ok(again->driver->listen(again, SH_BYTES(NULL, 0)));
    assert_true(offer.port != port && offer.port > 0);
    again->driver->free(again);
    /* Who closes first lingers. */
    sh_stream_close(ends[0].stream);
    ends[0].stream = NULL;
    run_until(ends[1].closed, 5000);
    anchor->driver->free(anchor);
    anchor = NULL;
    assert_ok(sh_link_lan_new(base, NULL, NULL, NULL, &link_ops, NULL, &again));
    sh_link_lan_prefer(again, (uint16_t)port);
    assert_ok(again->driver->listen(again, SH_BYTES(NULL, 0)));
    assert_int_equal(offer.port, port);
    again->driver->free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_offer),         TEST(test_same_port),       TEST(test_both_ways),
        TEST(test_close_flushes), TEST(test_close_then_free), TEST(test_free_keeps_streams),
        TEST(test_refused),       TEST(test_unreachable),     TEST(test_cancel),
        TEST(test_silent_crowd),  TEST(test_no_descriptors),  TEST(test_cut),
        TEST(test_cut_after),     TEST(test_blackhole),       TEST(test_dial_into_blackhole),
        TEST(test_rate),          TEST(test_delay),           TEST(test_loopback_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
