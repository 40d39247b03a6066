/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the probe makes of an anchor that answers, refuses, hangs, is somebody else, or is behind something that drops. */
#include "cli/probe.h"

#include <errno.h>
#include <stdlib.h>

#include "unit/proto/check.h"

#define WALL  INT64_C(1750000000)
#define LINES 64

/* One connection: what each end sends waits until the test carries it over. */
struct line {
    struct sh_stream ends[2]; /* the probe's, the anchor's */
    uint8_t *sent[2];
    size_t n[2];
    struct sh_lane *server;
    unsigned attempt;
    uint16_t segment, port;
    uint8_t address; /* the last octet of it */
    bool open;       /* the probe has not closed it */
};

static struct world {
    sh_ms now;
    struct sh_identity *anchor, *tablet, *other;
    const struct sh_identity *serves;
    struct sh_device device;
    struct sh_probe *probe;
    struct line lines[LINES];
    size_t line_count;
    struct sh_probe_result results[SH_PROBE_DEVICES * SH_ADDRESSES_MAX];
    size_t result_count;
    unsigned overs, most_served; /* channels at once */
    /* How the anchor and the way are. */
    bool hangs, hangs_on_large, loses_large;
    enum sh_cause says; /* SH_OK: nothing */
    struct sh_path_facts facts;
} w;

/* ---- The way ---- */

static size_t end_of(const struct sh_stream *stream, struct line **ret_line)
{
    for (size_t i = 0; i < w.line_count; i++) {
        for (size_t e = 0; e < 2; e++) {
            if (&w.lines[i].ends[e] == stream) {
                *ret_line = &w.lines[i];
                return e;
            }
        }
    }
    fail();
    abort(); /* fail() does not come back, which a compiler cannot know */
}

static void line_send(struct sh_stream *stream, struct sh_bytes bytes)
{
    struct line *line = NULL;
    size_t e = end_of(stream, &line);
    line->sent[e] = realloc(line->sent[e], line->n[e] + bytes.n);
    assert_non_null(line->sent[e]);
    memcpy(line->sent[e] + line->n[e], bytes.p, bytes.n);
    line->n[e] += bytes.n;
}

static size_t line_pending(const struct sh_stream *stream SH_UNUSED)
{
    return 0;
}

static void line_close(struct sh_stream *stream)
{
    struct line *line = NULL;
    stream->ops = NULL;
    if (end_of(stream, &line) == 0)
        line->open = false;
}

static void line_look(const struct sh_stream *stream SH_UNUSED, struct sh_path_facts *facts)
{
    *facts = w.facts;
}

static const struct sh_stream_driver driver = {
    .send = line_send, .pending = line_pending, .close = line_close, .look = line_look};

/* ---- The anchor ---- */

static enum sh_cause server_up(struct sh_lane *lane, void *user SH_UNUSED)
{
    Simhop__Abort abort = SIMHOP__ABORT__INIT;
    char name[64];
    if (w.says == SH_OK)
        return SH_OK;
    assert_true(sh_strcopy(name, sizeof(name), sh_cause_info(w.says)->name));
    abort.cause = name;
    return sh_lane_send(lane, SH_MSG_ABORT, &abort.base);
}

static enum sh_cause server_msg(struct sh_lane *lane, unsigned type, struct sh_bytes payload,
                                void *user SH_UNUSED)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    assert_int_equal(type, SH_MSG_PING); /* nothing that begins a session */
    SH_TRY(sh_msg_unpack(type, payload, &message));
    const Simhop__Ping *ping = (const Simhop__Ping *)message;
    Simhop__Pong pong = SIMHOP__PONG__INIT;
    pong.sequence = ping->sequence;
    pong.padding = ping->padding;
    if (w.says != SH_OK || (w.hangs_on_large && ping->padding.len > 0))
        return SH_OK;
    return sh_lane_send(lane, SH_MSG_PONG, &pong.base);
}

static enum sh_cause server_find_psk(struct sh_lane *lane SH_UNUSED,
                                     struct sh_bytes identity SH_UNUSED,
                                     struct sh_secret *ret_psk SH_UNUSED, void *user SH_UNUSED)
{
    return SH_TLS_SESSION_UNKNOWN;
}

static void ignore_lane(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}
static void ignore_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause SH_UNUSED,
                        void *user SH_UNUSED)
{
}
static void ignore_after(void *user SH_UNUSED) {}

static const struct sh_lane_ops server_ops = {.up = server_up,
                                              .msg = server_msg,
                                              .find_psk = server_find_psk,
                                              .writable = ignore_lane,
                                              .down = ignore_down,
                                              .after = ignore_after};

/* ---- The probe's world ---- */

static sh_ms on_now(void *user SH_UNUSED)
{
    return w.now;
}

static enum sh_cause on_dial(const struct sh_attempt *attempt, void *user SH_UNUSED)
{
    assert_true(w.line_count < LINES);
    w.lines[w.line_count++] = (struct line){.attempt = attempt->id,
                                            .segment = attempt->segment,
                                            .port = attempt->port,
                                            .address = attempt->address[3]};
    return SH_OK;
}

static void on_cancel(unsigned attempt SH_UNUSED, void *user SH_UNUSED) {}

static void on_result(const struct sh_probe_result *result, void *user SH_UNUSED)
{
    w.results[w.result_count++] = *result;
}

static void on_over(void *user SH_UNUSED)
{
    w.overs++;
}

static const struct sh_probe_ops ops = {
    .now = on_now, .dial = on_dial, .cancel = on_cancel, .result = on_result, .over = on_over};

/* An anchor with so many addresses, of which the last octets are 1 and on. */
static void begin(size_t addresses)
{
    struct sh_probe_target target = {.anchor = &w.device};
    target.addresses.port = 4000;
    target.addresses.count = addresses;
    for (size_t i = 0; i < addresses; i++)
        target.addresses.list[i] =
            (struct sh_address){.bytes = {10, 0, 0, (uint8_t)(i + 1)}, .len = 4};
    assert_ok(sh_probe_new(w.tablet, WALL, &target, 1, &ops, NULL, &w.probe));
    sh_probe_begin(w.probe);
}

static struct line *newest(void)
{
    assert_true(w.line_count > 0);
    return &w.lines[w.line_count - 1];
}

static void connected(struct line *line)
{
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER,
                                       .now = WALL,
                                       .direct = true,
                                       .key = w.serves->key,
                                       .cert = w.serves->server_cert,
                                       .ca = w.serves->ca_cert};
    line->ends[0].driver = line->ends[1].driver = &driver;
    line->open = true;
    assert_ok(sh_lane_new(&line->ends[1], &config, &server_ops, NULL, &line->server));
    sh_probe_dialled(w.probe, line->attempt, &line->ends[0]);
}

static void carry(struct line *line, size_t from)
{
    struct sh_stream *to = &line->ends[1 - from];
    uint8_t *bytes = line->sent[from];
    size_t n = line->n[from];
    line->sent[from] = NULL;
    line->n[from] = 0;
    bool lost = w.hangs || (w.loses_large && line->segment == 0 && n > 1000);
    if (n > 0 && to->ops && !lost)
        to->ops->rx(SH_BYTES(bytes, n), to->user);
    free(bytes);
}

/* Until nothing moves. */
static void run(void)
{
    for (bool moved = true; moved;) {
        moved = false;
        unsigned served = 0;
        for (size_t i = 0; i < w.line_count; i++)
            served += w.lines[i].n[0] > 0 && w.lines[i].open;
        for (size_t i = 0; i < w.line_count; i++) {
            struct line *line = &w.lines[i];
            for (size_t e = 0; e < 2; e++) {
                moved = moved || line->n[e] > 0;
                carry(line, e);
            }
        }
        w.most_served = SH_MAX(w.most_served, served);
    }
}

static void wait_ms(sh_ms ms)
{
    for (sh_ms until = w.now + ms; w.now < until; w.now += 100) {
        (void)sh_probe_tick(w.probe, w.now);
        run();
    }
    (void)sh_probe_tick(w.probe, w.now);
}

static const struct sh_probe_result *only(void)
{
    assert_int_equal(w.result_count, 1);
    assert_int_equal(w.overs, 1);
    return &w.results[0];
}

static void dial_fails(int error, enum sh_path_answer answer, enum sh_path_neighbour neighbour,
                       enum sh_cause cause)
{
    const struct sh_path_facts facts = {
        .phase = SH_PATH_CONNECT, .error = error, .answer = answer, .neighbour = neighbour};
    sh_probe_dial_failed(w.probe, newest()->attempt, cause, &facts);
}

/* ---- Before and after ---- */

static void link_devices(void)
{
    sh_autofree uint8_t *csr = NULL, *der = NULL, *ca = NULL, *key = NULL;
    struct sh_issued issued = {0};
    size_t n = 0;
    assert_ok(sh_csr_new(w.tablet->key, &csr, &n));
    assert_ok(sh_cert_issue(w.anchor->ca_key, w.anchor->ca_cert, SH_BYTES(csr, n), WALL, &issued));
    assert_ok(sh_cert_to_der(issued.cert, &der, &w.device.token_len));
    assert_ok(sh_cert_to_der(w.anchor->ca_cert, &ca, &w.device.ca_len));
    assert_ok(sh_public_key_der(w.anchor->key, &key, &w.device.public_key_len));
    memcpy(w.device.token, der, w.device.token_len);
    memcpy(w.device.ca, ca, w.device.ca_len);
    memcpy(w.device.public_key, key, w.device.public_key_len);
    assert_true(sh_strcopy(w.device.name, sizeof(w.device.name), "anchor"));
    sh_issued_clear(&issued);
}

static int setup(void **state SH_UNUSED)
{
    w = (struct world){.now = 1000};
    if (sh_identity_new(WALL, &w.anchor) != SH_OK || sh_identity_new(WALL, &w.tablet) != SH_OK ||
        sh_identity_new(WALL, &w.other) != SH_OK)
        return -1;
    w.serves = w.anchor;
    link_devices();
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    sh_probe_free(w.probe);
    for (size_t i = 0; i < w.line_count; i++) {
        assert_false(w.lines[i].open); /* whatever happened, nothing is left open */
        sh_lane_free(w.lines[i].server);
        free(w.lines[i].sent[0]);
        free(w.lines[i].sent[1]);
    }
    sh_identity_free(w.anchor);
    sh_identity_free(w.tablet);
    sh_identity_free(w.other);
    return 0;
}

/* ---- Tests ---- */

static void it_answers(void **state SH_UNUSED)
{
    begin(1);
    assert_int_equal(newest()->port, 4000);
    connected(newest());
    run();
    assert_cause(only()->cause, SH_OK);
    assert_true(only()->answers);
    assert_true(only()->has_rtt);
    assert_int_equal(only()->rtt, 0);
    assert_false(newest()->open);
    assert_int_equal(sh_probe_tick(w.probe, w.now + 60000), SH_NEVER);
    assert_int_equal(w.overs, 1);
}

static void what_the_anchor_says_is_told(void **state SH_UNUSED)
{
    w.says = SH_LINKED_REVOKED;
    begin(1);
    connected(newest());
    run();
    assert_cause(only()->cause, SH_LINKED_REVOKED);
    assert_true(only()->answers);
    assert_false(only()->has_rtt);
}

static void somebody_else_is_not_it(void **state SH_UNUSED)
{
    w.serves = w.other;
    begin(1);
    connected(newest());
    run();
    assert_cause(only()->cause, SH_TLS_BAD_CERTIFICATE);
    assert_false(only()->answers);
}

/* The same CA, another key. */
static void another_key_is_not_it(void **state SH_UNUSED)
{
    w.device.public_key[w.device.public_key_len - 1] ^= 1;
    begin(1);
    connected(newest());
    run();
    assert_cause(only()->cause, SH_TLS_BAD_CERTIFICATE);
    assert_false(only()->answers);
    assert_string_equal(only()->detail, "the key is not that of the linked device");
}

static void a_firewall_that_rejects(void **state SH_UNUSED)
{
    begin(1);
    dial_fails(ECONNREFUSED, SH_PATH_ICMP, SH_PATH_NEIGHBOUR_THERE, SH_LINK_REFUSED);
    assert_cause(only()->cause, SH_LINK_FIREWALL_REJECT);
    assert_int_equal(w.line_count, 1);
}

/* Nobody listens, or a firewall says so: not to be told apart from here. */
static void a_reset_is_only_a_refusal(void **state SH_UNUSED)
{
    begin(1);
    dial_fails(ECONNREFUSED, SH_PATH_RESET, SH_PATH_NEIGHBOUR_THERE, SH_LINK_REFUSED);
    assert_cause(only()->cause, SH_LINK_REFUSED);
}

/* The first silence proves nothing of a neighbour that is not asked yet; the second does. */
static void silence_is_asked_twice(void **state SH_UNUSED)
{
    begin(1);
    dial_fails(0, SH_PATH_SILENCE, SH_PATH_NEIGHBOUR_UNKNOWN, SH_LINK_TIMEOUT);
    assert_int_equal(w.result_count, 0);
    assert_int_equal(w.line_count, 2);
    dial_fails(0, SH_PATH_SILENCE, SH_PATH_NEIGHBOUR_THERE, SH_LINK_TIMEOUT);
    assert_cause(only()->cause, SH_LINK_FIREWALL_DROP);
}

static void silence_stays_silence(void **state SH_UNUSED)
{
    begin(1);
    dial_fails(0, SH_PATH_SILENCE, SH_PATH_NEIGHBOUR_UNKNOWN, SH_LINK_TIMEOUT);
    dial_fails(0, SH_PATH_SILENCE, SH_PATH_NEIGHBOUR_UNKNOWN, SH_LINK_TIMEOUT);
    assert_cause(only()->cause, SH_LINK_TIMEOUT);
    assert_int_equal(w.line_count, 2);
}

/* All is acknowledged, nothing comes, with small segments neither. */
static void it_hangs(void **state SH_UNUSED)
{
    w.hangs = true;
    w.facts = (struct sh_path_facts){.phase = SH_PATH_RUN, .acked = 500};
    begin(1);
    connected(newest());
    wait_ms(SH_PROBE_MS + 100);
    assert_int_equal(w.result_count, 0);
    assert_int_equal(w.line_count, 2);
    assert_int_equal(newest()->segment, SH_PROBE_SEGMENT);
    connected(newest());
    wait_ms(SH_PROBE_MS + 100);
    assert_cause(only()->cause, SH_LINK_PEER_HUNG);
    assert_false(only()->small_passes);
}

/* To the kernel it looks the same, but small segments pass. */
static void full_segments_are_lost(void **state SH_UNUSED)
{
    w.loses_large = true;
    w.facts = (struct sh_path_facts){.phase = SH_PATH_RUN, .acked = 500};
    begin(1);
    connected(newest());
    wait_ms(SH_PROBE_MS + 100);
    connected(newest());
    run();
    assert_cause(only()->cause, SH_LINK_MTU);
    assert_true(only()->small_passes);
    assert_true(only()->answers);
}

/* The small word came back, the large one does not. */
static void the_large_word_is_not_answered(void **state SH_UNUSED)
{
    w.hangs_on_large = true;
    w.facts = (struct sh_path_facts){.phase = SH_PATH_RUN, .acked = 500};
    begin(1);
    connected(newest());
    run();
    wait_ms(SH_PROBE_FULL_MS + 100);
    assert_int_equal(newest()->segment, SH_PROBE_SEGMENT);
    connected(newest());
    run();
    wait_ms(SH_PROBE_FULL_MS + 100);
    assert_cause(only()->cause, SH_LINK_MTU);
    assert_false(only()->small_passes);
    assert_true(only()->has_rtt);
}

/* An anchor takes each channel for a visitor, so it gets one at a time; and lets none wait for long. */
static void one_channel_at_a_time(void **state SH_UNUSED)
{
    begin(3);
    assert_int_equal(w.line_count, 3);
    for (size_t i = 0; i < 3; i++)
        connected(&w.lines[i]);
    assert_true(w.lines[0].n[0] > 0);
    assert_int_equal(w.lines[1].n[0], 0);
    w.lines[2].ends[0].ops->closed(SH_CONNECT_LOST, w.lines[2].ends[0].user);
    run();
    assert_int_equal(w.most_served, 1);
    assert_int_equal(w.result_count, 2);
    assert_int_equal(w.line_count, 4);
    assert_int_equal(newest()->address, 3);
    connected(newest());
    run();
    assert_int_equal(w.result_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_cause(w.results[i].cause, SH_OK);
    assert_int_equal(w.overs, 1);
}

/* Whatever the edge does, it comes to an end. */
static void all_ends_in_time(void **state SH_UNUSED)
{
    w.hangs = true;
    begin(SH_ADDRESSES_MAX);
    for (size_t i = 0; i < SH_ADDRESSES_MAX; i++)
        connected(&w.lines[i]);
    wait_ms(SH_PROBE_ALL_MS + 100);
    assert_int_equal(w.result_count, SH_ADDRESSES_MAX);
    assert_int_equal(w.overs, 1);
    for (size_t i = 0; i < w.result_count; i++)
        assert_cause(w.results[i].cause, SH_LINK_TIMEOUT);
}

/* In the middle of everything. */
static void it_is_freed_any_time(void **state SH_UNUSED)
{
    begin(2);
    connected(&w.lines[0]);
    connected(&w.lines[1]);
    sh_probe_free(w.probe);
    w.probe = NULL;
    assert_int_equal(w.result_count, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_answers),
        TEST(what_the_anchor_says_is_told),
        TEST(somebody_else_is_not_it),
        TEST(another_key_is_not_it),
        TEST(a_firewall_that_rejects),
        TEST(a_reset_is_only_a_refusal),
        TEST(silence_is_asked_twice),
        TEST(silence_stays_silence),
        TEST(it_hangs),
        TEST(full_segments_are_lost),
        TEST(the_large_word_is_not_answered),
        TEST(one_channel_at_a_time),
        TEST(all_ends_in_time),
        TEST(it_is_freed_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
