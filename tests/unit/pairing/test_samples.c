/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a side heard, committed to, packed, and read by the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pairing/samples.h"

static const uint8_t nonce[SH_HELLO_NONCE] = {1, 2, 3}, other_nonce[SH_HELLO_NONCE] = {1, 2, 4};

static struct sh_samples some(unsigned count)
{
    struct sh_samples samples = {.level = {-59.25, SH_LEVEL_STATED}, .heard_count = 2};
    samples.heard[0] = (struct sh_heard_id){{1, 2, 3, 4, 5, 6, 7}, -40};
    samples.heard[1] = (struct sh_heard_id){{7, 6, 5, 4, 3, 2, 1}, -127};
    for (unsigned i = 0; i < count; i++)
        sh_samples_add(&samples, 5000 + i * 30, -50 - (int)(i % 7), (uint8_t)(i % 50));
    return samples;
}

/* The payload that a message would be sent with; freed by the caller. */
static uint8_t *payload_of(Simhop__Samples *message, size_t *ret_n)
{
    size_t n = protobuf_c_message_get_packed_size(&message->base);
    uint8_t *payload = malloc(n);
    assert_non_null(payload);
    protobuf_c_message_pack(&message->base, payload);
    *ret_n = n;
    return payload;
}

static enum sh_cause open_message(Simhop__Samples *message, struct sh_samples *ret)
{
    static const char label[] = "simhop1 samples";
    uint8_t commitment[SH_COMMITMENT_SIZE];
    size_t n = 0;
    sh_autofree uint8_t *payload = payload_of(message, &n);
    const struct sh_bytes pieces[] = {SH_BYTES(label, sizeof(label)),
                                      SH_BYTES(nonce, sizeof(nonce)), SH_BYTES(payload, n)};
    assert_int_equal(sh_sha256(pieces, SH_COUNT(pieces), commitment), SH_OK);
    return sh_samples_open(SH_BYTES(payload, n), nonce, commitment, ret);
}

static void what_is_sent_is_what_was_heard(void **state SH_UNUSED)
{
    struct sh_samples samples = some(100), back = {0};
    struct sh_samples_message message;
    uint8_t commitment[SH_COMMITMENT_SIZE];
    size_t n = 0;
    assert_int_equal(sh_samples_commit(&samples, nonce, commitment), SH_OK);
    sh_samples_fill(&samples, &message);
    sh_autofree uint8_t *payload = payload_of(&message.base, &n);
    assert_in_range(n, 400, 500); /* four octets a sample */
    assert_int_equal(sh_samples_open(SH_BYTES(payload, n), nonce, commitment, &back), SH_OK);
    assert_int_equal(back.count, 100);
    assert_float_equal(back.level.dbm, -59.25, 0.001);
    assert_int_equal(back.level.kind, SH_LEVEL_STATED);
    assert_float_equal(back.rate_hz, 33.33, 0.01);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(back.at[i].ms, i * 30);
        assert_int_equal(back.at[i].dbm, -50 - (int)(i % 7));
        assert_int_equal(back.at[i].channel, i % 50 < 40 ? i % 50 : SH_CHANNEL_UNKNOWN);
    }
    assert_int_equal(back.heard_count, 2);
    assert_memory_equal(back.heard, samples.heard, 2 * sizeof(samples.heard[0]));
}

/* Nobody changes a sample, or takes another's commitment for his own; two that heard the same commit to different octets. */
static void a_commitment_holds(void **state SH_UNUSED)
{
    struct sh_samples samples = some(50), again = some(50), back = {.count = 77};
    struct sh_samples_message message;
    uint8_t commitment[SH_COMMITMENT_SIZE], other[SH_COMMITMENT_SIZE];
    size_t n = 0;
    assert_int_equal(sh_samples_commit(&samples, nonce, commitment), SH_OK);
    assert_int_equal(sh_samples_commit(&again, nonce, other), SH_OK);
    assert_memory_not_equal(commitment, other, sizeof(other));
    sh_samples_fill(&samples, &message);
    sh_autofree uint8_t *payload = payload_of(&message.base, &n);
    assert_int_equal(sh_samples_open(SH_BYTES(payload, n), other_nonce, commitment, &back),
                     SH_NEAR_CHANGED);
    assert_int_equal(sh_samples_open(SH_BYTES(payload, n), nonce, other, &back), SH_NEAR_CHANGED);
    assert_int_equal(sh_samples_open(SH_BYTES(payload, n - 1), nonce, commitment, &back),
                     SH_NEAR_CHANGED);
    for (size_t i = 0; i < n; i++) {
        payload[i] ^= 1;
        assert_int_equal(sh_samples_open(SH_BYTES(payload, n), nonce, commitment, &back),
                         SH_NEAR_CHANGED);
        payload[i] ^= 1;
    }
    assert_int_equal(back.count, 77); /* untouched */
}

/* 16 s at 200 a second: more than fit, the whole time is there all the same, and the rate is the real one. */
static void many_are_thinned_evenly(void **state SH_UNUSED)
{
    struct sh_samples samples = {.level = {-59, SH_LEVEL_ASSUMED}};
    for (unsigned i = 0; i < 4000; i++)
        sh_samples_add(&samples, 100 + i * 5, -60, SH_CHANNEL_UNKNOWN);
    assert_in_range(samples.count, SH_SAMPLES_MAX / 2, SH_SAMPLES_MAX);
    assert_in_range(samples.at[samples.count - 1].ms, SH_SAMPLES_SPAN_MS - 100, SH_SAMPLES_SPAN_MS);
    for (size_t i = 1; i < samples.count; i++)
        assert_int_equal(samples.at[i].ms - samples.at[i - 1].ms, samples.at[1].ms);
    assert_float_equal(samples.rate_hz, 200, 0.5);
    struct sh_samples_message message;
    uint8_t commitment[SH_COMMITMENT_SIZE];
    assert_int_equal(sh_samples_commit(&samples, nonce, commitment), SH_OK); /* fits the cap */
    sh_samples_fill(&samples, &message);
    assert_int_equal(open_message(&message.base, &samples), SH_OK);
}

static void what_no_radio_says_is_left_out(void **state SH_UNUSED)
{
    struct sh_samples samples = {0};
    sh_samples_add(&samples, 1000, SH_RSSI_NONE, 1);
    sh_samples_add(&samples, 1000, 21, 1);
    assert_int_equal(samples.count, 0);
    sh_samples_add(&samples, 1000, -127, 1);
    sh_samples_add(&samples, 999, -50, 1); /* backwards */
    sh_samples_add(&samples, 1000, 20, 1);
    sh_samples_add(&samples, 1001 + SH_SAMPLES_SPAN_MS, -50, 1);
    assert_int_equal(samples.count, 2);
    assert_int_equal(samples.at[1].dbm, 20);
}

/* Well committed to, and still nothing that a device of ours would say. */
static void strange_messages(void **state SH_UNUSED)
{
    struct sh_samples samples = some(50), back = {.count = 77};
    struct sh_samples_message good, m;
    uint8_t packed[(SH_SAMPLES_MAX + 1) * SH_SAMPLE_OCTETS] = {0};
    for (size_t i = 3; i < sizeof(packed); i += SH_SAMPLE_OCTETS)
        packed[i] = SH_CHANNEL_UNKNOWN;
    sh_samples_fill(&samples, &good);
#define REFUSED(cause, ...)                                                                        \
    do {                                                                                           \
        sh_samples_fill(&samples, &m);                                                             \
        __VA_ARGS__;                                                                               \
        assert_int_equal(open_message(&m.base, &back), cause);                                     \
    } while (0)
    REFUSED(SH_OK, back.count = 0);
    assert_int_equal(back.count, 50);
    back.count = 77;
    REFUSED(SH_PROTO_MALFORMED, m.base.salt.len--);
    REFUSED(SH_PROTO_MALFORMED, m.base.salt.len = 0);
    REFUSED(SH_PROTO_MALFORMED, m.base.level_centi_dbm = -9001);
    REFUSED(SH_PROTO_MALFORMED, m.base.level_centi_dbm = -1999);
    REFUSED(SH_PROTO_UNKNOWN_ENUM, m.base.level_kind = SIMHOP__LEVEL_KIND__LEVEL_KIND_UNSPECIFIED);
    REFUSED(SH_PROTO_UNKNOWN_ENUM, m.base.level_kind = (Simhop__LevelKind)9);
    REFUSED(SH_PROTO_MALFORMED, m.base.samples.len--);
    REFUSED(SH_PROTO_MALFORMED, m.base.samples.len = 0);
    REFUSED(SH_PROTO_MALFORMED, m.base.samples.len = 5 * SH_SAMPLE_OCTETS);
    REFUSED(SH_PROTO_MALFORMED, m.base.samples = (ProtobufCBinaryData){sizeof(packed), packed});
    REFUSED(SH_OK,
            m.base.samples = (ProtobufCBinaryData){sizeof(packed) - SH_SAMPLE_OCTETS, packed});
    REFUSED(SH_PROTO_MALFORMED, m.packed[1] = 1);    /* the first is at 0 */
    REFUSED(SH_PROTO_MALFORMED, m.packed[4] = 0x3F); /* after 16 s */
    REFUSED(SH_PROTO_MALFORMED, m.packed[2] = 127);
    REFUSED(SH_PROTO_MALFORMED, m.packed[2] = 0x80); /* -128 dBm */
    REFUSED(SH_PROTO_MALFORMED, m.packed[3] = 40);
    REFUSED(SH_PROTO_MALFORMED, m.heard[0].id.len = 6);
    REFUSED(SH_PROTO_MALFORMED, m.heard[1].dbm = 127);
    Simhop__HeardId *many[SH_HEARD_MAX + 1];
    for (size_t i = 0; i < SH_COUNT(many); i++)
        many[i] = &good.heard[0];
    REFUSED(SH_PROTO_MALFORMED, m.base.heard = many, m.base.n_heard = SH_COUNT(many));
    REFUSED(SH_OK, m.base.heard = many, m.base.n_heard = SH_HEARD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_what_was_heard),
        cmocka_unit_test(a_commitment_holds),
        cmocka_unit_test(many_are_thinned_evenly),
        cmocka_unit_test(what_no_radio_says_is_left_out),
        cmocka_unit_test(strange_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
