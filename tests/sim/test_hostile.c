/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A peer that is silent, slow, broken or hostile against a real session: each gets its own cause, in time, and nothing
 * is released. And what two honest devices do when the person types wrongly, not at all, or goes away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/spake2plus.h"
#include "world.h"

static struct world *world;

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {1000000};
    world = world_new(sizes, SH_COUNT(sizes), true);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    world_free(world);
    return 0;
}

static int forget(void **state SH_UNUSED)
{
    world_reset(world);
    return 0;
}

/* ---- A hand-made peer ---- */

static void send_message(struct raw_peer *peer, unsigned type, const void *message)
{
    uint8_t *frame = NULL;
    size_t n = 0;
    assert_int_equal(sh_msg_frame(type, message, &frame, &n), SH_OK);
    raw_send(peer, frame, n);
    free(frame);
}

/* The last message of a type that the session sent; freed with sh_msg_free. NULL: none came. */
static void *find_message(const struct raw *raw, unsigned type)
{
    ProtobufCMessage *found = NULL;
    for (size_t at = 0; at + SH_FRAME_HEADER <= raw->got_len;) {
        const uint8_t *p = raw->got + at;
        size_t n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (at + SH_FRAME_HEADER + n > raw->got_len)
            break;
        if (p[0] == type) {
            sh_msg_free(found);
            found = NULL;
            assert_int_equal(sh_msg_unpack(type, SH_BYTES(p + SH_FRAME_HEADER, n), &found), SH_OK);
        }
        at += SH_FRAME_HEADER + n;
    }
    return found;
}

static void payload_of(const struct raw *raw, unsigned type, struct sh_bytes *ret)
{
    for (size_t at = 0; at + SH_FRAME_HEADER <= raw->got_len;) {
        const uint8_t *p = raw->got + at;
        size_t n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (p[0] == type)
            *ret = SH_BYTES(p + SH_FRAME_HEADER, n);
        at += SH_FRAME_HEADER + n;
    }
}

struct hello_parts {
    Simhop__Hello hello;
    uint32_t suite;
    uint8_t nonce[16], id[16];
    char name[16];
};

static void good_hello(struct hello_parts *parts, Simhop__Role role)
{
    simhop__hello__init(&parts->hello);
    parts->suite = 1;
    memset(parts->nonce, 0x5A, sizeof(parts->nonce));
    memset(parts->id, 0xA5, sizeof(parts->id));
    strcpy(parts->name, "stranger");
    parts->hello.version_min = parts->hello.version_max = 1;
    parts->hello.role = role;
    parts->hello.mode = SIMHOP__MODE__MODE_PAIR;
    parts->hello.n_suites = 1;
    parts->hello.suites = &parts->suite;
    parts->hello.nonce = (ProtobufCBinaryData){16, parts->nonce};
    parts->hello.device_id = (ProtobufCBinaryData){16, parts->id};
    parts->hello.name = parts->name;
    parts->hello.consent = SIMHOP__CONSENT__CONSENT_CODE;
}

static void expect_refused(struct raw *raw, enum sh_cause cause)
{
    if (!raw->over || raw->cause != cause)
        fail_msg("expected %s, got %s%s", sh_cause_info(cause)->name,
                 raw->over ? "" : "nothing yet, ", sh_cause_info(raw->cause)->name);
    assert_true(raw->peer_closed);
    assert_false(world_half_files(world));
}

static void hello_is_refused(void (*spoil)(struct hello_parts *parts), enum sh_cause cause)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    struct raw_peer *peer = raw_new(world, &raw);
    struct hello_parts parts;
    good_hello(&parts, SIMHOP__ROLE__ROLE_SECONDARY);
    spoil(&parts);
    send_message(peer, SH_MSG_HELLO, &parts.hello);
    raw_wait(peer, 2000);
    expect_refused(&raw, cause);
    Simhop__Abort *abort = find_message(&raw, SH_MSG_ABORT);
    assert_non_null(abort);
    assert_string_equal(abort->cause, sh_cause_info(cause)->name);
    sh_msg_free(&abort->base);
    raw_free(peer);
}

static void newer_version(struct hello_parts *parts)
{
    parts->hello.version_min = parts->hello.version_max = 7;
}
static void unknown_mode(struct hello_parts *parts)
{
    parts->hello.mode = (Simhop__Mode)9;
}
static void unknown_role(struct hello_parts *parts)
{
    parts->hello.role = (Simhop__Role)9;
}
static void unknown_consent(struct hello_parts *parts)
{
    parts->hello.consent = (Simhop__Consent)9;
}
static void same_role(struct hello_parts *parts)
{
    parts->hello.role = SIMHOP__ROLE__ROLE_ANCHOR;
}
static void no_suite(struct hello_parts *parts)
{
    parts->suite = 99;
}
static void short_nonce(struct hello_parts *parts)
{
    parts->hello.nonce.len = 8;
}
static void no_name(struct hello_parts *parts)
{
    parts->name[0] = '\0';
}
static void escape_in_name(struct hello_parts *parts)
{
    strcpy(parts->name, "a\033[2Jb");
}
static void our_identity(struct hello_parts *parts)
{
    memcpy(parts->id, world_anchor(world)->identity->id, sizeof(parts->id));
}

static void bad_greetings(void **state SH_UNUSED)
{
    hello_is_refused(newer_version, SH_PROTO_UNKNOWN_VERSION);
    hello_is_refused(unknown_mode, SH_PROTO_UNKNOWN_ENUM);
    hello_is_refused(unknown_role, SH_PROTO_UNKNOWN_ENUM);
    hello_is_refused(unknown_consent, SH_PROTO_UNKNOWN_ENUM);
    hello_is_refused(same_role, SH_PROTO_WRONG_STATE);
    hello_is_refused(no_suite, SH_PROTO_UNKNOWN_VERSION);
    hello_is_refused(short_nonce, SH_PROTO_MALFORMED);
    hello_is_refused(no_name, SH_PROTO_MALFORMED);
    hello_is_refused(escape_in_name, SH_PROTO_MALFORMED);
    hello_is_refused(our_identity, SH_CONFIRM_REFLECTION);
}

static void bytes_are_refused(const void *bytes, size_t n, enum sh_cause cause)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    struct raw_peer *peer = raw_new(world, &raw);
    raw_send(peer, bytes, n);
    raw_wait(peer, 2000);
    expect_refused(&raw, cause);
    raw_free(peer);
}

static void bad_frames(void **state SH_UNUSED)
{
    bytes_are_refused("\x01\x00\x02\x01", 4, SH_PROTO_FRAME_TOO_LONG); /* one over hello's cap */
    bytes_are_refused("\x01\xFF\xFF\xFF", 4, SH_PROTO_FRAME_TOO_LONG);
    bytes_are_refused("\xC8\x00\x00\x00", 4, SH_PROTO_UNKNOWN_TYPE);
    bytes_are_refused("\x23\x00\x00\x00", 4, SH_PROTO_WRONG_STATE); /* a leaf before TLS */
    bytes_are_refused("\x04\x00\x00\x00", 4,
                      SH_PROTO_WRONG_STATE); /* a share before the greeting */
    bytes_are_refused("\x01\x00\x00\x02\xFF\xFF", 6, SH_PROTO_MALFORMED);
}

static void silent_and_slow_peers(void **state SH_UNUSED)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    struct raw_peer *peer = raw_new(world, &raw);
    raw_wait(peer, 10200);
    expect_refused(&raw, SH_CONNECT_TIMEOUT);
    raw_free(peer);

    raw = (struct raw){.session_role = SH_SECONDARY};
    peer = raw_new(world, &raw);
    for (int i = 0; i < 3 && !raw.over; i++) { /* a byte a minute */
        raw_send(peer, "\x01", 1);
        raw_wait(peer, i == 0 ? 10200 : 60000);
    }
    expect_refused(&raw, SH_CONNECT_TIMEOUT);
    raw_free(peer);
}

static void reflected_greeting(void **state SH_UNUSED)
{
    struct raw raw = {.session_role = SH_SECONDARY};
    struct raw_peer *peer = raw_new(world, &raw);
    raw_wait(peer, 100);
    uint8_t echo[sizeof(raw.got)];
    size_t n = raw.got_len;
    memcpy(echo, raw.got, n);
    assert_true(n > SH_FRAME_HEADER);
    raw_send(peer, echo, n);
    raw_wait(peer, 1000);
    expect_refused(&raw, SH_CONFIRM_REFLECTION);
    raw_free(peer);
}

/* ---- Up to the code: a raw secondary that says it is near ---- */

static uint8_t said_hello[512], said_near[128];
static size_t said_hello_len, said_near_len;

static struct raw_peer *up_to_code(struct raw *raw, uint8_t transcript[32])
{
    struct raw_peer *peer = raw_new(world, raw);
    struct hello_parts parts;
    Simhop__Proximity near;
    uint8_t commitment[SH_COMMITMENT_SIZE] = {1};
    good_hello(&parts, SIMHOP__ROLE__ROLE_SECONDARY);
    send_message(peer, SH_MSG_HELLO, &parts.hello);
    simhop__proximity__init(&near);
    near.accept = true;
    near.commitment = (ProtobufCBinaryData){sizeof(commitment), commitment};
    raw_wait(peer, 500);
    send_message(peer, SH_MSG_PROXIMITY, &near);
    raw_wait(peer, 4000);
    assert_false(raw->over);
    said_hello_len = protobuf_c_message_pack(&parts.hello.base, said_hello);
    said_near_len = protobuf_c_message_pack(&near.base, said_near);
    struct sh_bytes hello = {0}, proximity = {0};
    payload_of(raw, SH_MSG_HELLO, &hello);
    payload_of(raw, SH_MSG_PROXIMITY, &proximity);
    uint8_t lengths[4][4] = {{0}};
    const size_t n[4] = {said_hello_len, hello.n, said_near_len, proximity.n};
    for (int i = 0; i < 4; i++) {
        lengths[i][2] = (uint8_t)(n[i] >> 8);
        lengths[i][3] = (uint8_t)n[i];
    }
    struct sh_bytes pieces[] = {SH_BYTES("simhop1 transcript", 19),
                                SH_BYTES(lengths[0], 4),
                                SH_BYTES(said_hello, said_hello_len),
                                SH_BYTES(lengths[1], 4),
                                hello,
                                SH_BYTES(lengths[2], 4),
                                SH_BYTES(said_near, said_near_len),
                                SH_BYTES(lengths[3], 4),
                                proximity};
    assert_int_equal(sh_sha256(pieces, SH_COUNT(pieces), transcript), SH_OK);
    return peer;
}

/* Who says that he is near, and does not bind himself to what he heard, gets no code to guess at. */
static void near_without_a_commitment(void **state SH_UNUSED)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    struct raw_peer *peer = raw_new(world, &raw);
    struct hello_parts parts;
    Simhop__Proximity near;
    uint8_t commitment[SH_COMMITMENT_SIZE - 1] = {1};
    good_hello(&parts, SIMHOP__ROLE__ROLE_SECONDARY);
    send_message(peer, SH_MSG_HELLO, &parts.hello);
    simhop__proximity__init(&near);
    near.accept = true;
    near.commitment = (ProtobufCBinaryData){sizeof(commitment), commitment};
    raw_wait(peer, 500);
    send_message(peer, SH_MSG_PROXIMITY, &near);
    raw_wait(peer, 4000);
    expect_refused(&raw, SH_PROTO_MALFORMED);
    assert_null(find_message(&raw, SH_MSG_CODE_READY));
    raw_free(peer);
}

static unsigned failures(void)
{
    struct sh_gate gate;
    assert_int_equal(
        sh_registry_gate(world_anchor(world)->registry, "boot", world_now(world), &gate), SH_OK);
    return gate.failures;
}

/* What a hostile secondary sends in place of its share. */
static void share_is_refused(const uint8_t *share, size_t n, uint32_t run, bool right_transcript,
                             enum sh_cause cause)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    uint8_t transcript[32];
    struct raw_peer *peer = up_to_code(&raw, transcript);
    Simhop__PakeShareP message = SIMHOP__PAKE_SHARE_P__INIT;
    uint8_t bytes[128];
    memcpy(bytes, share, n);
    message.run = run;
    message.share = (ProtobufCBinaryData){n, bytes};
    if (!right_transcript)
        transcript[0] ^= 1;
    message.transcript = (ProtobufCBinaryData){32, transcript};
    send_message(peer, SH_MSG_PAKE_SHARE_P, &message);
    raw_wait(peer, 1000);
    expect_refused(&raw, cause);
    assert_null(find_message(&raw, SH_MSG_PAKE_SHARE_V)); /* nothing to test a guess with */
    raw_free(peer);
}

static void good_share(uint8_t out[SH_SPAKE_SHARE])
{
    struct sh_spake *spake = NULL;
    struct sh_bytes any = SH_BYTES("any", 3);
    assert_int_equal(sh_spake_new(SH_SPAKE_PROVER, any, any, any, any, any, &spake), SH_OK);
    sh_spake_share(spake, out);
    sh_spake_free(spake);
}

static void hostile_shares(void **state SH_UNUSED)
{
    uint8_t share[SH_SPAKE_SHARE], zeros[SH_SPAKE_SHARE] = {4};
    good_share(share);
    share_is_refused(share, sizeof(share), 1, false, SH_CONFIRM_WRONG_TRANSCRIPT);
    share_is_refused(share, sizeof(share), 0, true, SH_CONFIRM_REPLAY);
    share_is_refused(share, sizeof(share), 2, true, SH_PROTO_WRONG_STATE);
    share_is_refused(share, 33, 1, true, SH_CONFIRM_BAD_POINT);
    share_is_refused(zeros, sizeof(zeros), 1, true, SH_CONFIRM_BAD_POINT);
    share[40] ^= 1;
    share_is_refused(share, sizeof(share), 1, true, SH_CONFIRM_BAD_POINT);
    share_is_refused((const uint8_t *)"\0", 1, 1, true, SH_CONFIRM_INFINITY);
    assert_int_equal(failures(), 0); /* none of them could test a guess */
}

/* A guess is charged when the anchor's confirmation leaves, and not given back when the guesser walks away. */
static void a_guess_is_charged(void **state SH_UNUSED)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    uint8_t transcript[32], share[SH_SPAKE_SHARE];
    struct raw_peer *peer = up_to_code(&raw, transcript);
    Simhop__PakeShareP message = SIMHOP__PAKE_SHARE_P__INIT;
    good_share(share);
    message.run = 1;
    message.share = (ProtobufCBinaryData){sizeof(share), share};
    message.transcript = (ProtobufCBinaryData){32, transcript};
    assert_int_equal(failures(), 0);
    send_message(peer, SH_MSG_PAKE_SHARE_P, &message);
    raw_wait(peer, 200);
    Simhop__PakeShareV *answer = find_message(&raw, SH_MSG_PAKE_SHARE_V);
    assert_non_null(answer);
    sh_msg_free(&answer->base);
    assert_int_equal(failures(), 1);
    raw_free(peer);
    assert_int_equal(failures(), 1);
}

/* The same share again in the next run: recorded. */
static void replayed_share(void **state SH_UNUSED)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    uint8_t transcript[32], share[SH_SPAKE_SHARE];
    struct raw_peer *peer = up_to_code(&raw, transcript);
    Simhop__PakeShareP message = SIMHOP__PAKE_SHARE_P__INIT;
    Simhop__PakeFailed failed = SIMHOP__PAKE_FAILED__INIT;
    good_share(share);
    message.run = failed.run = 1;
    message.share = (ProtobufCBinaryData){sizeof(share), share};
    message.transcript = (ProtobufCBinaryData){32, transcript};
    send_message(peer, SH_MSG_PAKE_SHARE_P, &message);
    raw_wait(peer, 200);
    send_message(peer, SH_MSG_PAKE_FAILED, &failed);
    raw_wait(peer, 200);
    assert_false(raw.over);
    message.run = 2;
    send_message(peer, SH_MSG_PAKE_SHARE_P, &message);
    raw_wait(peer, 200);
    expect_refused(&raw, SH_CONFIRM_REPLAY);
    raw_free(peer);
}

/* ---- Two honest devices ---- */

static struct run run_of(const struct run *wanted, sh_ms limit)
{
    struct run run = *wanted;
    world_run(world, &run, limit);
    assert_true(run.anchor_over && run.secondary_over);
    return run;
}

static void three_wrong_codes(void **state SH_UNUSED)
{
    struct run run = run_of(&(struct run){.ble_carries = true, .wrong_codes = 3}, 60000);
    assert_int_equal(run.codes_shown, 3);
    assert_int_equal(run.secondary_cause, SH_CONFIRM_LOCKED_OUT);
    assert_int_equal(run.anchor_cause, SH_CONFIRM_LOCKED_OUT);
    assert_int_equal(failures(), 3);
    /* The right code does not help now, nor after half the time. */
    run = run_of(&(struct run){.ble_carries = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_CONFIRM_LOCKED_OUT);
    assert_int_equal(run.codes_shown, 0);
    struct raw raw = {.session_role = SH_ANCHOR};
    struct raw_peer *time = raw_new(world, &raw);
    raw_wait(time, 9000);
    raw_free(time);
    for (int i = 0; i < 6; i++) { /* 60 s go by */
        time = raw_new(world, &raw);
        raw_wait(time, 9900);
        raw_free(time);
    }
    run = run_of(&(struct run){.ble_carries = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_int_equal(failures(), 0);
    assert_true(world_files_equal(world));
}

static void a_wrong_code_then_the_right_one(void **state SH_UNUSED)
{
    struct run run = run_of(&(struct run){.ble_carries = true, .wrong_codes = 2}, 60000);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_int_equal(run.codes_shown, 3); /* each code once */
}

static void three_metres(void **state SH_UNUSED)
{
    struct run run = run_of(&(struct run){.ble_carries = true, .distance_m = 3}, 20000);
    assert_int_equal(sh_cause_info(run.secondary_cause)->category, SH_CAT_NOT_NEAR);
    assert_int_equal(sh_cause_info(run.anchor_cause)->category, SH_CAT_NOT_NEAR);
    /* Who measured it says so; the other one may be told before its own measurement ends. */
    assert_true(run.anchor_cause == SH_NEAR_TOO_FAR || run.secondary_cause == SH_NEAR_TOO_FAR);
    assert_int_equal(run.codes_shown, 0);
}

static void nobody_types(void **state SH_UNUSED)
{
    struct run run = run_of(&(struct run){.ble_carries = true, .never_type = true}, 130000);
    assert_int_equal(run.secondary_cause, SH_CONFIRM_TIMEOUT);
    assert_int_equal(run.anchor_cause, SH_CONFIRM_TIMEOUT);
    assert_true(run.ended_after <= 126000);
}

/* Stopped in mid-transfer, the next session needs no code and no byte twice. */
static void interrupted_then_resumed(void **state SH_UNUSED)
{
    struct run run = run_of(&(struct run){.ble_carries = true, .stop_in_transfer = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_SESSION_INTERRUPTED);
    assert_int_equal(run.anchor_cause, SH_SESSION_PEER_STOPPED);
    assert_int_equal(run.last_phase, SH_PHASE_TRANSFER);
    run = run_of(&(struct run){.ble_carries = true, .never_type = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_int_equal(run.codes_shown, 0);
    assert_true(run.resumed > 0);
    assert_true(world_files_equal(world));
    uint64_t moved = run.link_bytes[SIMHOP__LINK_KIND__LINK_KIND_BLE];
    assert_true(run.resumed + moved >= 1000000 && run.resumed + moved <= 1000000 + SH_BUNDLE_MAX);
    /* And a third time there is nothing left to send but a fresh bundle. */
    run = run_of(&(struct run){.ble_carries = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_true(run.link_bytes[SIMHOP__LINK_KIND__LINK_KIND_BLE] <= SH_BUNDLE_MAX);
}

static void revoked_in_between(void **state SH_UNUSED)
{
    struct run run = run_of(&(struct run){.ble_carries = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_int_equal(sh_registry_set_state(world_anchor(world)->registry,
                                           world_secondary(world)->identity->id,
                                           SH_DEVICE_IS_SECONDARY, SH_DEVICE_REVOKED),
                     SH_OK);
    run = run_of(&(struct run){.ble_carries = true}, 60000);
    assert_int_equal(run.secondary_cause, SH_LINKED_REVOKED);
    assert_int_equal(run.anchor_cause, SH_LINKED_REVOKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bad_greetings, forget),
        cmocka_unit_test_setup(bad_frames, forget),
        cmocka_unit_test_setup(silent_and_slow_peers, forget),
        cmocka_unit_test_setup(reflected_greeting, forget),
        cmocka_unit_test_setup(near_without_a_commitment, forget),
        cmocka_unit_test_setup(hostile_shares, forget),
        cmocka_unit_test_setup(a_guess_is_charged, forget),
        cmocka_unit_test_setup(replayed_share, forget),
        cmocka_unit_test_setup(three_wrong_codes, forget),
        cmocka_unit_test_setup(a_wrong_code_then_the_right_one, forget),
        cmocka_unit_test_setup(three_metres, forget),
        cmocka_unit_test_setup(nobody_types, forget),
        cmocka_unit_test_setup(interrupted_then_resumed, forget),
        cmocka_unit_test_setup(revoked_in_between, forget),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
