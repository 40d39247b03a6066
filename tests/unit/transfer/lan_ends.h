/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two devices of one machine, an anchor and a secondary with a LAN link each, in one loop; and the two ends of a connection between them. */
#ifndef SIMHOP_TESTS_LAN_ENDS_H
#define SIMHOP_TESTS_LAN_ENDS_H

#include <event2/event.h>
#include <sys/time.h>

#include "system/clock.h"
#include "transfer/link.h"
#include "unit/transfer/util.h"

#define MIB 1048576u

static struct event_base *base;
static struct sh_link *anchor, *secondary;
static Simhop__LinkOffer offer;

/* One end of a connection. */
struct end {
    struct sh_stream *stream;
    uint64_t sent, received, to_send;
    unsigned seed;
    bool closed, wrong, hold;
    enum sh_cause cause;
};

static struct end ends[2]; /* 0: the anchor's */
static unsigned accepted, dialled, failed;
static enum sh_cause failed_cause;
static struct sh_path_facts failed_facts;
static struct sh_shape shape;
static struct sh_stream *silent[256];
static unsigned silent_count;
static bool keep_silent;

static void pump(struct end *end)
{
    uint8_t bytes[16384];
    while (end->sent < end->to_send && sh_stream_pending(end->stream) < SH_STREAM_HIGH) {
        size_t n = SH_MIN(sizeof(bytes), end->to_send - end->sent);
        for (size_t i = 0; i < n; i++)
            bytes[i] = octet_at(end->seed, end->sent + i);
        sh_stream_send(end->stream, SH_BYTES(bytes, n));
        end->sent += n;
    }
}

static void on_rx(struct sh_bytes bytes, void *user)
{
    struct end *end = user;
    assert_false(end->closed);
    for (size_t i = 0; i < bytes.n; i++)
        end->wrong |= bytes.p[i] != octet_at(1 - end->seed, end->received + i);
    end->received += bytes.n;
}

static void on_writable(void *user)
{
    struct end *end = user;
    assert_true(sh_stream_pending(end->stream) < SH_STREAM_LOW);
    pump(end);
}

static void on_closed(enum sh_cause cause, void *user)
{
    struct end *end = user;
    assert_false(end->closed);
    end->closed = true;
    end->cause = cause;
}

static const struct sh_stream_ops stream_ops = {
    .rx = on_rx, .writable = on_writable, .closed = on_closed};

static void begin(struct end *end, struct sh_stream *stream)
{
    end->stream = stream;
    end->seed = end == &ends[0] ? 0 : 1;
    stream->ops = &stream_ops;
    stream->user = end;
}

static void silent_rx(struct sh_bytes bytes SH_UNUSED, void *user SH_UNUSED) {}

static void silent_writable(void *user SH_UNUSED) {}

static void silent_closed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

static const struct sh_stream_ops silent_ops = {
    .rx = silent_rx, .writable = silent_writable, .closed = silent_closed};

static void on_accepted(struct sh_link *link SH_UNUSED, struct sh_stream *stream,
                        void *user SH_UNUSED)
{
    accepted++;
    if (!keep_silent) {
        begin(&ends[0], stream);
        return;
    }
    stream->ops = &silent_ops;
    silent[silent_count++] = stream;
}

static void on_dialled(struct sh_link *link SH_UNUSED, unsigned attempt, struct sh_stream *stream,
                       void *user SH_UNUSED)
{
    assert_int_equal(attempt, 7);
    dialled++;
    begin(&ends[1], stream);
}

static void on_dial_failed(struct sh_link *link SH_UNUSED, unsigned attempt, enum sh_cause cause,
                           const struct sh_path_facts *facts, void *user SH_UNUSED)
{
    assert_int_equal(attempt, 7);
    failed++;
    failed_cause = cause;
    failed_facts = *facts;
}

static void on_offered(struct sh_link *link SH_UNUSED, const Simhop__LinkOffer *offered,
                       enum sh_cause cause, void *user SH_UNUSED)
{
    assert_ok(cause);
    offer = *offered;
}

static const struct sh_link_ops link_ops = {.offered = on_offered,
                                            .accepted = on_accepted,
                                            .dialled = on_dialled,
                                            .dial_failed = on_dial_failed};

static struct sh_shape shape_of(void *user SH_UNUSED)
{
    return shape;
}

static int set_up(void **state SH_UNUSED)
{
    memset(ends, 0, sizeof(ends));
    memset(&shape, 0, sizeof(shape));
    accepted = dialled = failed = silent_count = 0;
    keep_silent = false;
    base = event_base_new();
    if (!base || sh_link_lan_new(base, NULL, NULL, NULL, &link_ops, NULL, &anchor) != SH_OK ||
        sh_link_lan_new(base, NULL, shape_of, NULL, &link_ops, NULL, &secondary) != SH_OK)
        return -1;
    return anchor->driver->listen(anchor, SH_BYTES(NULL, 0)) == SH_OK ? 0 : -1;
}

/* What comes at once, on any machine. */
#define IN_TIME_MS 30000

/* Runs the loop until the condition holds, for at most so long. */
#define run_until(condition, ms)                                                                   \
    do {                                                                                           \
        sh_ms limit_ = sh_now() + (ms);                                                            \
        while (!(condition) && sh_now() < limit_)                                                  \
            run_a_little();                                                                        \
    } while (0)

static void run_a_little(void)
{
    const struct timeval tick = {.tv_usec = 2000};
    event_base_loopexit(base, &tick);
    event_base_loop(base, 0);
}

static int tear_down(void **state SH_UNUSED)
{
    for (unsigned i = 0; i < silent_count; i++)
        sh_stream_close(silent[i]);
    sh_stream_close(ends[0].stream);
    sh_stream_close(ends[1].stream);
    run_a_little();
    if (secondary)
        secondary->driver->free(secondary);
    if (anchor)
        anchor->driver->free(anchor);
    run_a_little();
    event_base_free(base);
    return 0;
}

static struct sh_attempt attempt_to(size_t index)
{
    struct sh_attempt attempt = {.id = 7,
                                 .kind = SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                 .address_len = offer.addresses[index].len,
                                 .port = (uint16_t)offer.port};
    memcpy(attempt.address, offer.addresses[index].data, attempt.address_len);
    return attempt;
}

static void dial_index(size_t index)
{
    struct sh_attempt attempt = attempt_to(index);
    assert_ok(secondary->driver->dial(secondary, &attempt));
    assert_int_equal(dialled + failed, 0); /* only from the loop */
}

static void connect_both(void)
{
    dial_index(0);
    run_until((accepted && dialled) || failed, IN_TIME_MS);
    assert_int_equal(accepted, 1);
    assert_int_equal(dialled, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
