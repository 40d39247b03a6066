/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What whoever has input does meanwhile: answers, and ends. */
#include "transfer/tcp.h"
#include "unit/transfer/lan_ends.h"

static struct event *probe;
static size_t answer_left; /* when the turn of the loop went on */
static unsigned probed, room_told;
static bool answer_ends;

static void on_probe(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user SH_UNUSED)
{
    probed++;
    answer_left = sh_stream_pending(ends[0].stream);
}

static void answer_rx(struct sh_bytes bytes SH_UNUSED, void *user)
{
    static const uint8_t some[16384];
    struct end *end = user;
    for (unsigned i = 0; i < 3; i++)
        sh_stream_send(end->stream, SH_BYTES(some, sizeof(some)));
    assert_true(sh_stream_pending(end->stream) >= SH_STREAM_LOW);
    if (!answer_ends) {
        event_active(probe, EV_TIMEOUT, 1);
        return;
    }
    sh_stream_close(end->stream);
    end->stream = NULL;
    anchor->driver->free(anchor);
    anchor = NULL;
}

static void answer_writable(void *user SH_UNUSED)
{
    room_told++;
}

static const struct sh_stream_ops answer_ops = {
    .rx = answer_rx, .writable = answer_writable, .closed = on_closed};

static void ask(bool ends_it)
{
    answer_ends = ends_it;
    probed = room_told = 0;
    answer_left = SIZE_MAX;
    connect_both();
    ends[0].stream->ops = &answer_ops;
    ends[1].hold = true;
    sh_stream_send(ends[1].stream, SH_BYTES((const uint8_t *)"?", 1));
}

/* All of an answer is with the kernel before anybody else has a turn, and whoever stopped for want of room hears that there is some. */
static void test_answer_at_once(void **state SH_UNUSED)
{
    probe = event_new(base, -1, 0, on_probe, NULL);
    assert_non_null(probe);
    ask(false);
    run_until(probed && room_told && ends[1].received == 3 * 16384, 3000);
    event_free(probe);
    assert_int_equal(probed, 1);
    assert_int_equal(answer_left, 0);
    assert_int_equal(room_told, 1);
    assert_int_equal(ends[1].received, 3 * 16384);
}

/* Whoever has input may end the stream and all of its link. */
static void test_end_inside(void **state SH_UNUSED)
{
    ask(true);
    run_until(ends[1].closed, 3000);
    assert_null(anchor);
    assert_true(ends[1].closed);
}

/* A sender of pieces whose other end does not read stops when the kernel has enough, with no part of a piece in our memory; and goes
 * on when that wants more. */
static void test_kernel_has_enough(void **state SH_UNUSED)
{
    static const uint8_t piece[60000];
    static const struct sh_stream_ops ops = {
        .rx = silent_rx, .writable = answer_writable, .closed = on_closed};
    room_told = 0;
    connect_both();
    ends[0].stream->ops = &ops;
    shape.blackhole = true;
    run_until(false, 3 * SH_TCP_SHAPE_MS); /* it is looked at now and then */
    uint64_t sent = 0;
    for (unsigned full = 0; full < 100 && sent < 64 * MIB; full++) {
        if (sh_stream_pending(ends[0].stream) < SH_STREAM_HIGH) {
            sh_stream_send(ends[0].stream, SH_BYTES(piece, sizeof(piece)));
            sent += sizeof(piece);
            full = 0;
        }
        run_a_little();
    }
    assert_int_equal(sh_stream_pending(ends[0].stream), SH_STREAM_HIGH);
    assert_true(sent < 64 * MIB);
    unsigned told = room_told;
    shape.blackhole = false;
    run_until(ends[1].received == sent && room_told > told, IN_TIME_MS);
    assert_int_equal(ends[1].received, sent);
    assert_int_equal(room_told, told + 1);
    assert_true(sh_stream_pending(ends[0].stream) < SH_STREAM_LOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_answer_at_once), TEST(test_end_inside),
                                       TEST(test_kernel_has_enough)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
