/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Streams over sockets that behave as those of L2CAP do: SOCK_SEQPACKET of AF_UNIX. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pairing/bdaddr.h"
#include "pairing/l2cap.h"
#include "system/clock.h"

#define MIB (1024 * 1024)

struct end {
    struct sh_stream *stream;
    uint8_t *got;
    size_t got_n;
    unsigned writable, closed;
    enum sh_cause cause;
    bool close_in_rx, free_in_rx, free_in_closed;
    struct side *side;
};

struct side {
    struct sh_l2cap *l2cap;
    struct end end[80];
    size_t ends;
    unsigned failed, ended;
    enum sh_cause failure;
    bool refuse, free_in_stream;
};

static struct event_base *base;
static struct side near, far;

/* ---- the user of the streams ---- */

static void free_side(struct side *side)
{
    sh_l2cap_free(side->l2cap);
    side->l2cap = NULL;
}

static void end_rx(struct sh_bytes bytes, void *user)
{
    struct end *end = user;
    end->got = realloc(end->got, end->got_n + bytes.n);
    assert_non_null(end->got);
    memcpy(end->got + end->got_n, bytes.p, bytes.n);
    end->got_n += bytes.n;
    if (end->close_in_rx)
        sh_stream_close(end->stream);
    if (end->free_in_rx)
        free_side(end->side);
}

static void end_writable(void *user)
{
    ((struct end *)user)->writable++;
}

static void end_closed(enum sh_cause cause, void *user)
{
    struct end *end = user;
    end->closed++;
    end->cause = cause;
    if (end->free_in_closed)
        free_side(end->side);
}

static const struct sh_stream_ops end_ops = {end_rx, end_writable, end_closed};

static void on_stream(struct sh_stream *stream, bool incoming SH_UNUSED, void *user)
{
    struct side *side = user;
    if (side->refuse) {
        sh_stream_close(stream);
        return;
    }
    assert_true(side->ends < SH_COUNT(side->end));
    struct end *end = &side->end[side->ends++];
    *end = (struct end){.stream = stream, .side = side};
    stream->ops = &end_ops;
    stream->user = end;
    if (side->free_in_stream)
        free_side(side);
}

static void on_failed(enum sh_cause cause, void *user)
{
    struct side *side = user;
    side->failed++;
    side->failure = cause;
}

static void on_ended(struct sh_stream *stream, bool incoming SH_UNUSED, void *user)
{
    assert_true(sh_l2cap_fd(stream) >= 0);
    ((struct side *)user)->ended++;
}

static const struct sh_l2cap_ops ops = {on_stream, on_failed, on_ended};

static int set_up(void **state SH_UNUSED)
{
    base = event_base_new();
    memset(&near, 0, sizeof(near));
    memset(&far, 0, sizeof(far));
    assert_int_equal(sh_l2cap_new(base, &ops, &near, &near.l2cap), SH_OK);
    assert_int_equal(sh_l2cap_new(base, &ops, &far, &far.l2cap), SH_OK);
    return 0;
}

static void forget(struct side *side)
{
    free_side(side);
    for (size_t i = 0; i < side->ends; i++)
        free(side->end[i].got);
}

static int tear_down(void **state SH_UNUSED)
{
    forget(&near);
    forget(&far);
    event_base_free(base);
    return 0;
}

static void run_ms(unsigned ms)
{
    for (sh_ms until = sh_now() + ms; sh_now() < until;) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        usleep(500);
    }
}

/* The limit is for a machine that is busy with something else; nothing is measured by it. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        for (sh_ms until_ = sh_now() + 20000; !(condition) && sh_now() < until_;) {                \
            event_base_loop(base, EVLOOP_NONBLOCK);                                                \
            usleep(200);                                                                           \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void pair_of(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void both_up(void)
{
    int fds[2];
    pair_of(fds);
    assert_int_equal(sh_l2cap_call(near.l2cap, fds[0], 5000), SH_OK);
    assert_int_equal(sh_l2cap_call(far.l2cap, fds[1], 5000), SH_OK);
    UNTIL(near.ends == 1 && far.ends == 1);
}

/* One end is a stream, the other a plain socket. */
static int raw_up(void)
{
    int fds[2];
    pair_of(fds);
    assert_int_equal(sh_l2cap_call(near.l2cap, fds[0], 5000), SH_OK);
    UNTIL(near.ends == 1);
    return fds[1];
}

/* A listening socket, and how to reach it. */
static int listener(struct sockaddr_un *address, socklen_t *size)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *size = sizeof(sa_family_t);
    assert_int_equal(bind(fd, (const struct sockaddr *)address, *size), 0);
    *size = sizeof(*address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, size), 0);
    assert_int_equal(listen(fd, 200), 0);
    return fd;
}

static int reach(const struct sockaddr_un *address, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, size), 0);
    return fd;
}

/* ---- tests ---- */

static void carries_bytes(void **state SH_UNUSED)
{
    both_up();
    uint8_t *data = malloc(MIB);
    assert_non_null(data);
    for (size_t i = 0; i < MIB; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
    sh_stream_send(near.end[0].stream, SH_BYTES(data, MIB));
    sh_stream_send(far.end[0].stream, SH_BYTES(data, 1));
    sh_stream_send(far.end[0].stream, SH_BYTES(data + 1, MIB - 1));
    assert_int_equal(sh_stream_pending(near.end[0].stream), MIB);
    UNTIL(far.end[0].got_n == MIB && near.end[0].got_n == MIB);
    assert_memory_equal(far.end[0].got, data, MIB);
    assert_memory_equal(near.end[0].got, data, MIB);
    assert_int_equal(near.end[0].writable, 1);
    assert_int_equal(sh_stream_pending(near.end[0].stream), 0);
    free(data);
}

static void a_small_message_makes_no_writable(void **state SH_UNUSED)
{
    both_up();
    sh_stream_send(near.end[0].stream, SH_BYTES("x", 1));
    UNTIL(far.end[0].got_n == 1);
    run_ms(20);
    assert_int_equal(near.end[0].writable, 0);
}

static void sdus_are_bounded(void **state SH_UNUSED)
{
    int fd = raw_up();
    static uint8_t data[40000], sdu[65536];
    size_t got = 0;
    sh_stream_send(near.end[0].stream, SH_BYTES(data, sizeof(data)));
    for (sh_ms until = sh_now() + 20000; got < sizeof(data) && sh_now() < until;) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, sdu, sizeof(sdu), MSG_DONTWAIT);
        assert_true(n <= SH_L2CAP_SDU_OUT);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(got, sizeof(data));
    close(fd);
}

static void what_is_queued_is_sent_before_it_closes(void **state SH_UNUSED)
{
    both_up();
    static uint8_t data[300000];
    sh_stream_send(near.end[0].stream, SH_BYTES(data, sizeof(data)));
    sh_stream_close(near.end[0].stream);
    UNTIL(far.end[0].closed == 1);
    assert_int_equal(far.end[0].got_n, sizeof(data));
    assert_int_equal(far.end[0].cause, SH_CONNECT_LOST);
    assert_int_equal(near.end[0].closed, 0); /* who closed it knows */
    assert_int_equal(near.ended, 1);
    assert_int_equal(sh_l2cap_up(near.l2cap), 0);
}

/* The other side does not read: the second passes, then it is over. */
static void closing_does_not_wait_for_ever(void **state SH_UNUSED)
{
    int fd = raw_up();
    static uint8_t data[MIB], sdu[SH_L2CAP_SDU_OUT];
    sh_stream_send(near.end[0].stream, SH_BYTES(data, sizeof(data)));
    sh_stream_close(near.end[0].stream);
    sh_stream_send(near.end[0].stream, SH_BYTES(data, 1)); /* does nothing */
    UNTIL(sh_l2cap_up(near.l2cap) == 0);
    assert_int_equal(near.ended, 1);
    size_t got = 0;
    for (ssize_t n; (n = recv(fd, sdu, sizeof(sdu), MSG_DONTWAIT)) > 0;)
        got += (size_t)n;
    assert_true(got > 0 && got < sizeof(data));
    close(fd);
}

/* The peer's last words are heard though what we send meanwhile fails. */
static void a_peer_that_leaves(void **state SH_UNUSED)
{
    int fd = raw_up();
    assert_int_equal(send(fd, "goodbye", 7, 0), 7);
    close(fd);
    sh_stream_send(near.end[0].stream, SH_BYTES("late", 4));
    UNTIL(near.end[0].closed == 1);
    assert_int_equal(near.end[0].cause, SH_CONNECT_LOST);
    assert_int_equal(near.end[0].got_n, 7);
    /* Dead but not closed: everything is allowed and does nothing. */
    sh_stream_send(near.end[0].stream, SH_BYTES("later", 5));
    assert_int_equal(sh_stream_pending(near.end[0].stream), 0);
    sh_stream_close(near.end[0].stream);
    run_ms(10);
    assert_int_equal(near.ended, 1);
}

static void an_sdu_too_large_ends_it(void **state SH_UNUSED)
{
    int fd = raw_up();
    static uint8_t sdu[SH_L2CAP_SDU_IN + 1];
    assert_int_equal(send(fd, sdu, SH_L2CAP_SDU_IN, 0), SH_L2CAP_SDU_IN);
    UNTIL(near.end[0].got_n == SH_L2CAP_SDU_IN);
    assert_int_equal(send(fd, sdu, sizeof(sdu), 0), (ssize_t)sizeof(sdu));
    UNTIL(near.end[0].closed == 1);
    assert_int_equal(near.end[0].cause, SH_CONNECT_LOST);
    assert_int_equal(near.end[0].got_n, SH_L2CAP_SDU_IN);
    close(fd);
}

static void takes_so_many_and_no_more(void **state SH_UNUSED)
{
    struct sockaddr_un address;
    socklen_t size;
    int fds[8], up = 0;
    assert_int_equal(sh_l2cap_listen(near.l2cap, listener(&address, &size), 4), SH_OK);
    for (size_t i = 0; i < SH_COUNT(fds); i++)
        fds[i] = reach(&address, size);
    UNTIL(near.ends == 4);
    run_ms(50);
    assert_int_equal(near.ends, 4);
    for (size_t i = 0; i < SH_COUNT(fds); i++) {
        uint8_t octet;
        up += recv(fds[i], &octet, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }
    assert_int_equal(up, 4);
    /* A place that is free again is given away. */
    sh_stream_close(near.end[0].stream);
    run_ms(50);
    int another = reach(&address, size);
    UNTIL(near.ends == 5);
    close(another);
    for (size_t i = 0; i < SH_COUNT(fds); i++)
        close(fds[i]);
}

static void does_not_take_when_it_has_stopped(void **state SH_UNUSED)
{
    struct sockaddr_un address;
    socklen_t size;
    assert_int_equal(sh_l2cap_listen(near.l2cap, listener(&address, &size), 4), SH_OK);
    int first = reach(&address, size);
    UNTIL(near.ends == 1);
    sh_l2cap_listen_stop(near.l2cap);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_not_equal(connect(fd, (const struct sockaddr *)&address, size), 0);
    /* What is up stays. */
    assert_int_equal(send(first, "x", 1, 0), 1);
    UNTIL(near.end[0].got_n == 1);
    close(first);
    close(fd);
}

static void streams_that_are_not_wanted(void **state SH_UNUSED)
{
    int fds[2];
    uint8_t octet;
    pair_of(fds);
    near.refuse = true;
    assert_int_equal(sh_l2cap_call(near.l2cap, fds[0], 5000), SH_OK);
    UNTIL(recv(fds[1], &octet, 1, MSG_DONTWAIT) == 0);
    assert_int_equal(sh_l2cap_up(near.l2cap), 0);
    close(fds[1]);
}

/* A socket that is never writable, as one that connects for too long. */
static int never_connected(int *ret_other)
{
    int fds[2];
    const int small = 1;
    uint8_t octet = 0;
    pair_of(fds);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while (send(fds[0], &octet, 1, MSG_DONTWAIT) > 0) {
    }
    *ret_other = fds[1];
    return fds[0];
}

static void a_call_that_takes_too_long(void **state SH_UNUSED)
{
    int other;
    assert_int_equal(sh_l2cap_call(near.l2cap, never_connected(&other), 100), SH_OK);
    UNTIL(near.failed == 1);
    assert_int_equal(near.failure, SH_CONNECT_TIMEOUT);
    assert_int_equal(near.ends, 0);
    close(other);
}

static void a_call_that_is_given_up(void **state SH_UNUSED)
{
    int other;
    assert_int_equal(sh_l2cap_call(near.l2cap, never_connected(&other), 100), SH_OK);
    int fd = raw_up();
    run_ms(200);
    assert_int_equal(near.failed, 0);
    close(other);
    close(fd);
}

static void may_be_freed_from_anywhere(void **state SH_UNUSED)
{
    both_up();
    near.end[0].free_in_rx = true;
    far.end[0].free_in_closed = true;
    sh_stream_send(far.end[0].stream, SH_BYTES("x", 1));
    UNTIL(!near.l2cap && !far.l2cap);
    assert_int_equal(sh_l2cap_new(base, &ops, &near, &near.l2cap), SH_OK);
    near.free_in_stream = true;
    int fds[2];
    pair_of(fds);
    assert_int_equal(sh_l2cap_call(near.l2cap, fds[0], 5000), SH_OK);
    UNTIL(!near.l2cap);
    close(fds[1]);
}

static void may_be_closed_while_it_reads(void **state SH_UNUSED)
{
    both_up();
    near.end[0].close_in_rx = true;
    sh_stream_send(far.end[0].stream, SH_BYTES("x", 1));
    UNTIL(far.end[0].closed == 1);
    sh_stream_send(far.end[0].stream, SH_BYTES("y", 1));
    run_ms(20);
    assert_int_equal(near.end[0].got_n, 1);
}

static void freeing_sends_what_still_goes(void **state SH_UNUSED)
{
    int fd = raw_up();
    char text[16] = "";
    sh_stream_send(near.end[0].stream, SH_BYTES("goodbye", 7));
    sh_stream_close(near.end[0].stream);
    free_side(&near);
    assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 7);
    assert_string_equal(text, "goodbye");
    close(fd);
}

static void addresses(void **state SH_UNUSED)
{
    static const char *const bad[] = {"",
                                      "AA:BB:CC:DD:EE:FF",
                                      "AA:BB:CC:DD:EE:FF/static",
                                      "AA:BB:CC:DD:EE/public",
                                      "AA:BB:CC:DD:EE:FG/public",
                                      "AABBCCDDEEFF00000/public",
                                      "AA:BB:CC:DD:EE:FF:00/public"};
    struct sh_bdaddr address;
    assert_true(sh_bdaddr_read("4A:0B:CC:DD:EE:01/random", &address));
    assert_int_equal(address.type, BDADDR_LE_RANDOM);
    assert_int_equal(address.octets.b[0], 0x01);
    assert_int_equal(address.octets.b[5], 0x4a);
    assert_true(sh_bdaddr_read("4A:0B:CC:DD:EE:01/public", &address));
    assert_int_equal(address.type, BDADDR_LE_PUBLIC);
    for (size_t i = 0; i < SH_COUNT(bad); i++)
        assert_false(sh_bdaddr_read(bad[i], &address));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(carries_bytes),
        TEST(a_small_message_makes_no_writable),
        TEST(sdus_are_bounded),
        TEST(what_is_queued_is_sent_before_it_closes),
        TEST(closing_does_not_wait_for_ever),
        TEST(a_peer_that_leaves),
        TEST(an_sdu_too_large_ends_it),
        TEST(takes_so_many_and_no_more),
        TEST(does_not_take_when_it_has_stopped),
        TEST(streams_that_are_not_wanted),
        TEST(a_call_that_takes_too_long),
        TEST(a_call_that_is_given_up),
        TEST(may_be_freed_from_anywhere),
        TEST(may_be_closed_while_it_reads),
        TEST(freeing_sends_what_still_goes),
        TEST(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
