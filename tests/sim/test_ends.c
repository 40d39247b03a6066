/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both ends' samples, inside the channel and before anything else: two honest devices in both modes, with an amplifier between them;
 * and a peer that has the code and speaks the protocol, but says other samples than it had committed to, none, or
 * something else first. Nothing of value has left then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/channel.h"
#include "pairing/air.h"
#include "world_internal.h"

static struct world *world;

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {20000};
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

static void assert_cause(enum sh_cause got, enum sh_cause wanted)
{
    assert_string_equal(sh_cause_info(got)->name, sh_cause_info(wanted)->name);
}

/* ---- Two honest devices ---- */

static struct run run_of(struct run run)
{
    run.ble_carries = true;
    world_run(world, &run, 60000);
    assert_true(run.anchor_over && run.secondary_over);
    return run;
}

static void expect_both(const struct run *run, enum sh_cause cause)
{
    assert_cause(run->anchor_cause, cause);
    assert_cause(run->secondary_cause, cause);
}

/* What each knows at the end is the same, seen from its own side. */
static void check_evidence(const struct run *run)
{
    const struct sh_nearness *a = &run->nearness[SH_ANCHOR], *s = &run->nearness[SH_SECONDARY];
    assert_true(a->samples[SH_SIDE_OURS] >= SH_MEASURE_SAMPLES);
    assert_int_equal(a->samples[SH_SIDE_OURS], s->samples[SH_SIDE_THEIRS]);
    assert_int_equal(a->samples[SH_SIDE_THEIRS], s->samples[SH_SIDE_OURS]);
    assert_float_equal(a->joint.evidence.score_db, s->joint.evidence.score_db, 0.05);
    assert_float_equal(a->joint.evidence.asymmetry_db, -s->joint.evidence.asymmetry_db, 0.05);
    assert_float_equal(a->rate_hz[SH_SIDE_OURS], 33, 5);
    assert_float_equal(a->rate_hz[SH_SIDE_OURS], s->rate_hz[SH_SIDE_THEIRS], 0.01);
    assert_int_equal(a->ours.verdict, SH_PROXIMITY_ACCEPT);
    assert_int_equal(s->level[SH_SIDE_THEIRS].kind, SH_LEVEL_CALIBRATED);
}

static void two_honest_devices(void **state SH_UNUSED)
{
    for (int visit = 0; visit < 2; visit++) { /* by a code, then by certificates */
        struct run run = run_of((struct run){.never_type = visit > 0});
        expect_both(&run, SH_OK);
        assert_int_equal(run.codes_shown, visit == 0);
        assert_int_equal(run.nearness[SH_ANCHOR].joint.verdict, SH_PROXIMITY_ACCEPT);
        check_evidence(&run);
        assert_true(world_files_equal(world));
    }
}

/* 10 dB more on one side, and each finds the other near by itself: both refuse, in both modes, whoever is amplified. */
static void an_amplifier(void **state SH_UNUSED)
{
    for (int visit = 0; visit < 2; visit++) {
        for (int side = 0; side < 2; side++) {
            struct run run = {.distance_m = 0.5};
            run.louder_db[side] = 10;
            run = run_of(run);
            expect_both(&run, SH_NEAR_ASYMMETRIC);
            assert_int_equal(run.codes_shown, visit == 0);
            check_evidence(&run);
            double louder = run.nearness[side].joint.evidence.asymmetry_db;
            assert_float_equal(louder, 10, 3);
            assert_int_equal(run.last_phase, SH_PHASE_ENROL);
        }
        struct run run = run_of((struct run){.distance_m = 0.5}); /* now they are linked */
        expect_both(&run, SH_OK);
    }
}

static void the_weakest_advertisements(void **state SH_UNUSED)
{
    struct run run = run_of((struct run){.anchor_policy = SH_POLICY_STRICT, .stepped = true});
    expect_both(&run, SH_NEAR_UNHEARD);
    assert_true(run.nearness[SH_ANCHOR].unheard);
    run = run_of(
        (struct run){.anchor_policy = SH_POLICY_STRICT, .stepped = true, .weak_heard = true});
    expect_both(&run, SH_OK);
    assert_true(run.nearness[SH_ANCHOR].stepped && !run.nearness[SH_ANCHOR].unheard);
    run = run_of((struct run){.stepped = true});
    expect_both(&run, SH_OK);
    assert_true(run.nearness[SH_ANCHOR].unheard);
}

/* ---- A peer that has the code ---- */

enum deed { HONEST, LIES, SALTS_ANEW, REFLECTS, SILENT, TWICE, EARLY };

struct peer {
    enum deed deed;
    enum sh_role role;
    struct raw raw;
    struct raw_peer *wire;
    size_t taken; /* of raw.got */
    struct sh_handshake *handshake;
    struct sh_channel *channel;
    struct sh_handshake_result result;
    sh_ms now;
    bool measuring, wants_code, shows_code, said;
    struct sh_code code;
    unsigned samples,
        others; /* messages that came inside the channel; others: neither samples nor abort */
    char abort[64];
};

static void peer_tx(struct sh_bytes bytes, void *user)
{
    struct peer *peer = user;
    raw_send(peer->wire, bytes.p, bytes.n);
}

static void peer_phase(enum sh_handshake_phase phase SH_UNUSED, const char *name SH_UNUSED,
                       void *user SH_UNUSED)
{
}

static void peer_sample(bool on, void *user)
{
    struct peer *peer = user;
    peer->measuring = on;
}

static void peer_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                           bool final SH_UNUSED, void *user SH_UNUSED)
{
}

static enum sh_cause peer_gate(uint32_t *ret_wait_s SH_UNUSED, void *user SH_UNUSED)
{
    return SH_OK;
}

static enum sh_cause peer_fine(void *user SH_UNUSED)
{
    return SH_OK;
}

static void peer_show_code(const struct sh_code *code, void *user)
{
    struct peer *peer = user;
    peer->shows_code = code != NULL;
    if (code)
        peer->code = *code;
}

static void peer_want_code(unsigned run SH_UNUSED, void *user)
{
    struct peer *peer = user;
    peer->wants_code = true;
}

static void peer_done(const struct sh_handshake_result *result, void *user)
{
    struct peer *peer = user;
    peer->result = *result;
}

static void peer_failed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

static const struct sh_handshake_ops peer_ops = {
    .tx = peer_tx,
    .phase = peer_phase,
    .sample = peer_sample,
    .proximity = peer_proximity,
    .gate = peer_gate,
    .charge = peer_fine,
    .confirmed = peer_fine,
    .show_code = peer_show_code,
    .want_code = peer_want_code,
    .done = peer_done,
    .failed = peer_failed,
};

static enum sh_cause send_samples(struct peer *peer)
{
    struct sh_samples_message message;
    sh_samples_fill(&peer->result.samples, &message);
    return sh_channel_send(peer->channel, SH_MSG_SAMPLES, &message.base.base);
}

/* What the session waits for next, before its time. */
static enum sh_cause send_enrolment(struct peer *peer)
{
    Simhop__EnrolRequest request = SIMHOP__ENROL_REQUEST__INIT;
    Simhop__EnrolReply reply = SIMHOP__ENROL_REPLY__INIT;
    request.transcript = reply.transcript = (ProtobufCBinaryData){32, peer->result.transcript};
    return peer->role == SH_ANCHOR
               ? sh_channel_send(peer->channel, SH_MSG_ENROL_REPLY, &reply.base)
               : sh_channel_send(peer->channel, SH_MSG_ENROL_REQUEST, &request.base);
}

static enum sh_cause channel_up(void *user)
{
    struct peer *peer = user;
    if (peer->deed == SILENT || peer->deed == REFLECTS)
        return SH_OK;
    if (peer->deed == EARLY)
        return send_enrolment(peer);
    if (peer->deed == LIES)
        peer->result.samples.at[3].dbm++;
    if (peer->deed == SALTS_ANEW)
        peer->result.samples.salt[0] ^= 1;
    SH_TRY(send_samples(peer));
    return peer->deed == TWICE ? send_samples(peer) : SH_OK;
}

static enum sh_cause channel_msg(unsigned type, struct sh_bytes payload, void *user)
{
    struct peer *peer = user;
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(type, payload, &message));
    if (type == SH_MSG_ABORT)
        return sh_strcopy(peer->abort, sizeof(peer->abort), ((Simhop__Abort *)message)->cause)
                   ? SH_OK
                   : SH_INTERNAL_BUG;
    peer->samples += type == SH_MSG_SAMPLES;
    peer->others += type != SH_MSG_SAMPLES;
    /* Its own words back, which would be as loud on both sides as can be. */
    if (type == SH_MSG_SAMPLES && peer->deed == REFLECTS)
        return sh_channel_send(peer->channel, SH_MSG_SAMPLES, message);
    return SH_OK;
}

static enum sh_cause channel_find_psk(struct sh_bytes identity, struct sh_secret *ret_psk,
                                      void *user)
{
    const struct peer *peer = user;
    if (identity.n != SH_SESSION_ID_SIZE ||
        memcmp(identity.p, peer->result.keys.session_id, identity.n) != 0)
        return SH_TLS_SESSION_UNKNOWN;
    *ret_psk = peer->result.keys.tls_psk;
    return SH_OK;
}

static const struct sh_channel_ops client_ops = {
    .tx = peer_tx, .up = channel_up, .msg = channel_msg};
static const struct sh_channel_ops server_ops = {
    .tx = peer_tx, .up = channel_up, .msg = channel_msg, .find_psk = channel_find_psk};

static void open_channel(struct peer *peer)
{
    bool server = peer->role == SH_ANCHOR;
    struct sh_channel_config config = {.role = server ? SH_CHANNEL_SERVER : SH_CHANNEL_CLIENT,
                                       .now = 1800000000};
    if (!server) {
        config.psk = &peer->result.keys.tls_psk;
        config.psk_identity = SH_BYTES(peer->result.keys.session_id, SH_SESSION_ID_SIZE);
    }
    assert_int_equal(
        sh_channel_new(&config, server ? &server_ops : &client_ops, peer, &peer->channel), SH_OK);
    assert_int_equal(sh_channel_start(peer->channel), SH_OK);
}

static bool is_confirmed(const struct peer *peer)
{
    return peer->result.samples.count > 0;
}

/* What has come since; the session may refuse what the channel is told next, so its causes are not ours to judge. */
static void take(struct peer *peer)
{
    struct sh_bytes bytes = SH_BYTES(peer->raw.got + peer->taken, peer->raw.got_len - peer->taken);
    size_t used = 0;
    peer->taken = peer->raw.got_len;
    assert_true(peer->raw.got_len < sizeof(peer->raw.got));
    if (!is_confirmed(peer))
        sh_handshake_rx(peer->handshake, bytes, peer->now, &used);
    if (is_confirmed(peer) && !peer->channel)
        open_channel(peer);
    if (peer->channel && used < bytes.n) {
        enum sh_cause cause =
            sh_channel_rx(peer->channel, SH_BYTES(bytes.p + used, bytes.n - used));
        assert_true(cause == SH_OK || peer->raw.over);
    }
}

/* What the person and the radio do; the peer's own clock runs as fast as it likes. */
static void live(struct peer *peer)
{
    for (int i = 0; i < 110 && peer->measuring && !peer->wants_code && !peer->shows_code; i++)
        sh_handshake_rssi(peer->handshake, (int)sh_air_default.tx1m_dbm + 12, peer->now += 30);
    if (peer->wants_code && world->code.digits[0])
        sh_handshake_code(peer->handshake, &world->code, peer->now);
    if (peer->shows_code && world->sides[SH_SECONDARY].code_run > 0)
        sh_session_code(world->sides[SH_SECONDARY].session, &peer->code);
    peer->wants_code = peer->wants_code && !world->code.digits[0];
}

/* A peer of this role against a session of the other one, for so long after the key is there. */
static void meet(struct peer *peer, enum sh_role role, enum deed deed, sh_ms after)
{
    *peer = (struct peer){.deed = deed,
                          .role = role,
                          .now = 1000,
                          .raw = {.session_role = role == SH_ANCHOR ? SH_SECONDARY : SH_ANCHOR}};
    struct sh_handshake_config config = {.role = role,
                                         .name = "stranger",
                                         .level = {sh_air_default.tx1m_dbm, SH_LEVEL_CALIBRATED},
                                         .device_id = {1, 2, 3}};
    memset(&world->code, 0, sizeof(world->code));
    peer->wire = raw_new(world, &peer->raw);
    assert_int_equal(sh_handshake_new(&config, &peer_ops, peer, peer->now, &peer->handshake),
                     SH_OK);
    for (int i = 0; i < 200 && !is_confirmed(peer) && !peer->raw.over; i++) {
        raw_wait(peer->wire, 50);
        take(peer);
        live(peer);
    }
    assert_true(is_confirmed(peer));
    for (sh_ms spent = 0; spent < after && !peer->raw.over; spent += 50) {
        raw_wait(peer->wire, 50);
        take(peer);
    }
}

static void part(struct peer *peer)
{
    sh_channel_free(peer->channel);
    sh_handshake_free(peer->handshake);
    raw_free(peer->wire);
}

static void expect_refused(enum sh_role role, enum deed deed, enum sh_cause cause)
{
    struct peer peer;
    struct sh_device device;
    meet(&peer, role, deed, deed == SILENT ? 11000 : 1000);
    assert_true(peer.raw.over);
    assert_cause(peer.raw.cause, cause);
    assert_int_equal(peer.samples, 1);
    assert_int_equal(peer.others, 0);
    assert_cause(sh_registry_get_device(world_anchor(world)->registry, peer.result.peer_id,
                                        SH_DEVICE_IS_SECONDARY, &device),
                 SH_LINKED_UNKNOWN);
    part(&peer);
}

static void a_peer_that_keeps_its_word(void **state SH_UNUSED)
{
    struct peer peer;
    meet(&peer, SH_SECONDARY, HONEST, 1000);
    assert_false(peer.raw.over); /* it waits for the request */
    assert_int_equal(peer.samples, 1);
    assert_int_equal(peer.others, 0);
    part(&peer);
    meet(&peer, SH_ANCHOR, HONEST, 1000);
    assert_false(peer.raw.over);
    assert_int_equal(peer.samples, 1);
    assert_int_equal(peer.others, 1); /* the request */
    part(&peer);
}

static void a_peer_that_does_not(void **state SH_UNUSED)
{
    for (int role = 0; role < 2; role++) {
        expect_refused(role, LIES, SH_NEAR_CHANGED);
        expect_refused(role, SALTS_ANEW, SH_NEAR_CHANGED);
        expect_refused(role, REFLECTS, SH_NEAR_CHANGED);
    }
}

/* A request, or a reply, before the samples; none at all; and more than once. */
static void samples_out_of_turn(void **state SH_UNUSED)
{
    struct peer peer;
    for (int role = 0; role < 2; role++) {
        expect_refused(role, EARLY, SH_PROTO_WRONG_STATE);
        expect_refused(role, SILENT, SH_NEAR_TIMEOUT);
        meet(&peer, role, TWICE, 1000);
        assert_true(peer.raw.over);
        assert_cause(peer.raw.cause, SH_PROTO_WRONG_STATE);
        part(&peer);
    }
}

/* Its samples are right, and then it does nothing more. */
static void a_peer_that_does_not_enrol(void **state SH_UNUSED)
{
    struct peer peer;
    for (int role = 0; role < 2; role++) {
        meet(&peer, role, HONEST, 11000);
        assert_true(peer.raw.over);
        assert_cause(peer.raw.cause, SH_ENROL_TIMEOUT);
        part(&peer);
    }
}

/* The peer learns the reason, not just a broken line. */
static void the_liar_is_told(void **state SH_UNUSED)
{
    struct peer peer;
    meet(&peer, SH_SECONDARY, LIES, 1000);
    raw_wait(peer.wire, 200);
    take(&peer);
    assert_string_equal(peer.abort, "near.changed");
    part(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_honest_devices, forget),
        cmocka_unit_test_setup(an_amplifier, forget),
        cmocka_unit_test_setup(the_weakest_advertisements, forget),
        cmocka_unit_test_setup(a_peer_that_keeps_its_word, forget),
        cmocka_unit_test_setup(a_peer_that_does_not, forget),
        cmocka_unit_test_setup(samples_out_of_turn, forget),
        cmocka_unit_test_setup(a_peer_that_does_not_enrol, forget),
        cmocka_unit_test_setup(the_liar_is_told, forget),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
