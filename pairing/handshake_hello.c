/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Greeting and nearness: the part of the handshake that comes before any key. */
#include <math.h>
#include <string.h>

#include "pairing/handshake_internal.h"
#include "proto/log.h"
#include "proto/text.h"

#define VERSION          1
#define SUITE_SPAKE2PLUS 1
#define METER_MS         200

/* Packs a message, keeps its payload for the transcript, and sends it. */
static enum sh_cause send_said(struct sh_handshake *hs, unsigned type,
                               const ProtobufCMessage *message, struct said *said)
{
    sh_autofree uint8_t *frame = NULL;
    size_t n = 0;
    SH_TRY(sh_msg_frame(type, message, &frame, &n));
    n -= SH_FRAME_HEADER;
    if (n > sizeof(said->bytes))
        return SH_INTERNAL_BUG;
    memcpy(said->bytes, frame + SH_FRAME_HEADER, n);
    said->n = n;
    hs->ops->tx(SH_BYTES(frame, SH_FRAME_HEADER + n), hs->user);
    return SH_OK;
}

static enum sh_cause keep_said(struct said *said, struct sh_bytes payload)
{
    if (payload.n > sizeof(said->bytes))
        return SH_PROTO_FRAME_TOO_LONG;
    if (payload.n > 0)
        memcpy(said->bytes, payload.p, payload.n);
    said->n = payload.n;
    return SH_OK;
}

enum sh_cause sh_hs_send_hello(struct sh_handshake *hs)
{
    Simhop__Hello hello;
    uint32_t suites[] = {SUITE_SPAKE2PLUS};
    Simhop__LinkKind links[SH_LINKS_MAX];
    char nothing[] = "";
    simhop__hello__init(&hello);
    for (size_t i = 0; i < hs->link_count; i++)
        links[i] = (Simhop__LinkKind)hs->links[i];
    hello.version_min = VERSION;
    hello.version_max = VERSION;
    hello.role = hs->role == SH_ANCHOR ? SIMHOP__ROLE__ROLE_ANCHOR : SIMHOP__ROLE__ROLE_SECONDARY;
    hello.mode = hs->reconnect ? SIMHOP__MODE__MODE_RECONNECT : SIMHOP__MODE__MODE_PAIR;
    hello.n_suites = SH_COUNT(suites);
    hello.suites = suites;
    hello.nonce = (ProtobufCBinaryData){sizeof(hs->nonce), hs->nonce};
    /* Somebody who only listens must not learn who comes back. */
    hello.name = hs->reconnect ? nothing : hs->name;
    if (!hs->reconnect)
        hello.device_id = (ProtobufCBinaryData){sizeof(hs->device_id), hs->device_id};
    hello.n_links = hs->link_count;
    hello.links = links;
    hello.consent = SIMHOP__CONSENT__CONSENT_CODE;
    hello.advertised_id = (ProtobufCBinaryData){sizeof(hs->advertised_id), hs->advertised_id};
    hello.purpose = hs->purpose == SH_PURPOSE_CALIBRATE ? SIMHOP__PURPOSE__PURPOSE_CALIBRATE
                                                        : SIMHOP__PURPOSE__PURPOSE_UNSPECIFIED;
    uint8_t returning[SH_RETURNING_ID_SIZE];
    if (hs->says_returning) {
        SH_TRY(sh_returning_id(&hs->returning_key, hs->nonce, returning));
        hello.returning_id = (ProtobufCBinaryData){sizeof(returning), returning};
    }
    return send_said(hs, SH_MSG_HELLO, &hello.base, &hs->our_hello);
}

/* Is this greeting one that the other role may send us? */
static enum sh_cause check_hello(struct sh_handshake *hs, const Simhop__Hello *hello)
{
    Simhop__Role other =
        hs->role == SH_ANCHOR ? SIMHOP__ROLE__ROLE_SECONDARY : SIMHOP__ROLE__ROLE_ANCHOR;
    if (hello->version_min > VERSION || hello->version_max < VERSION)
        return sh_fail(SH_PROTO_UNKNOWN_VERSION, "they speak %u to %u, we speak %d",
                       (unsigned)hello->version_min, (unsigned)hello->version_max, VERSION);
    if (hello->nonce.len != NONCE_SIZE)
        return sh_fail(SH_PROTO_MALFORMED, "hello: nonce");
    if (memcmp(hello->nonce.data, hs->nonce, NONCE_SIZE) == 0)
        return SH_CONFIRM_REFLECTION;
    if (hello->role != other) {
        bool known =
            hello->role == SIMHOP__ROLE__ROLE_ANCHOR || hello->role == SIMHOP__ROLE__ROLE_SECONDARY;
        return known ? sh_fail(SH_PROTO_WRONG_STATE, "both devices have the same role")
                     : sh_fail(SH_PROTO_UNKNOWN_ENUM, "hello: role");
    }
    if (hello->mode != SIMHOP__MODE__MODE_PAIR && hello->mode != SIMHOP__MODE__MODE_RECONNECT)
        return sh_fail(SH_PROTO_UNKNOWN_ENUM, "hello: mode");
    if (hello->consent != SIMHOP__CONSENT__CONSENT_CODE)
        return sh_fail(SH_PROTO_UNKNOWN_ENUM, "hello: consent");
    if (hello->purpose != SIMHOP__PURPOSE__PURPOSE_UNSPECIFIED &&
        hello->purpose != SIMHOP__PURPOSE__PURPOSE_CALIBRATE)
        return sh_fail(SH_PROTO_UNKNOWN_ENUM, "hello: purpose");
    for (size_t i = 0; i < hello->n_suites; i++) {
        if (hello->suites[i] == SUITE_SPAKE2PLUS)
            return SH_OK;
    }
    return sh_fail(SH_PROTO_UNKNOWN_VERSION, "no key exchange in common");
}

static enum sh_cause check_names(struct sh_handshake *hs, const Simhop__Hello *hello)
{
    bool reconnect = hello->mode == SIMHOP__MODE__MODE_RECONNECT;
    if (hs->role == SH_SECONDARY && reconnect != hs->reconnect)
        return sh_fail(SH_PROTO_WRONG_STATE, "hello: the anchor answered another mode");
    if (hello->device_id.len != (reconnect ? 0 : SH_DEVICE_ID_SIZE))
        return sh_fail(SH_PROTO_MALFORMED, "hello: device id");
    if (!reconnect && memcmp(hello->device_id.data, hs->device_id, SH_DEVICE_ID_SIZE) == 0)
        return sh_fail(SH_CONFIRM_REFLECTION, "the other device has our own identity");
    if (!sh_text_is_clean(hello->name, SH_NAME_MAX) || (!reconnect && !hello->name[0]))
        return sh_fail(SH_PROTO_MALFORMED, "hello: name");
    if (!reconnect && hs->want_peer_name[0] && strcmp(hs->want_peer_name, hello->name) != 0)
        return sh_fail(SH_NEAR_NO_ANCHOR, "this one is \"%s\"", hello->name);
    return SH_OK;
}

static void take_hello(struct sh_handshake *hs, const Simhop__Hello *hello)
{
    struct sh_handshake_result *result = &hs->result;
    memcpy(result->peer_nonce, hello->nonce.data, NONCE_SIZE);
    if (hs->role == SH_ANCHOR)
        hs->reconnect = hello->mode == SIMHOP__MODE__MODE_RECONNECT;
    if (hello->device_id.len == SH_DEVICE_ID_SIZE)
        memcpy(result->peer_id, hello->device_id.data, SH_DEVICE_ID_SIZE);
    if (!sh_strcopy(result->peer_name, sizeof(result->peer_name), hello->name))
        result->peer_name[0] = '\0';
    for (size_t i = 0; i < hello->n_links && result->peer_link_count < SH_LINKS_MAX; i++)
        result->peer_links[result->peer_link_count++] = (int)hello->links[i];
    hs->greeted = true;
}

void sh_hs_set_purpose(struct sh_handshake *hs, enum sh_purpose purpose)
{
    hs->purpose = purpose;
    if (purpose != SH_PURPOSE_CALIBRATE)
        return;
    hs->near_is_optional = true;
    hs->near_is_strict = false;
}

/* An older anchor does not know of purposes: it would go on with a sync. */
static enum sh_cause check_purpose(const struct sh_handshake *hs, const Simhop__Hello *hello)
{
    bool calibrate = hello->purpose == SIMHOP__PURPOSE__PURPOSE_CALIBRATE;
    if (hs->role == SH_SECONDARY && calibrate != (hs->purpose == SH_PURPOSE_CALIBRATE))
        return calibrate
                   ? sh_fail(SH_PROTO_WRONG_STATE, "hello: the anchor answered another purpose")
                   : sh_fail(SH_PROTO_UNKNOWN_VERSION, "the other device cannot calibrate");
    if (hs->role == SH_SECONDARY)
        return SH_OK;
    if (calibrate && !hs->reconnect)
        return sh_fail(SH_LINKED_UNKNOWN, "only linked devices are calibrated");
    if (calibrate && !hs->learns)
        return SH_CALIBRATE_NOT_WANTED;
    return calibrate || !hs->shares_nothing ? SH_OK : SH_CALIBRATE_ONLY;
}

/* Whom we know is measured by the level that we have learned for it. Nobody else is refused here: who it is, the certificates of the
 * channel say. */
static enum sh_cause meet(struct sh_handshake *hs, const Simhop__Hello *hello)
{
    struct sh_level level;
    if (!hs->reconnect || hello->returning_id.len != SH_RETURNING_ID_SIZE || !hs->ops->returning ||
        !hs->ops->returning(hello->returning_id.data, hs->result.peer_nonce, &level, hs->user))
        return SH_OK;
    return sh_hs_set_level(hs, level);
}

static void begin_measure(struct sh_handshake *hs)
{
    sh_hs_go(hs, STATE_MEASURE, "greeted");
    hs->measure_started = hs->now;
    hs->sampling = true;
    hs->ops->phase(SH_HANDSHAKE_MEASURE, hs->result.peer_name, hs->user);
    hs->ops->sample(true, hs->user);
}

enum sh_cause sh_hs_on_hello(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_HELLO, payload, &message));
    const Simhop__Hello *hello = (const Simhop__Hello *)message;
    SH_TRY(check_hello(hs, hello));
    SH_TRY(check_names(hs, hello));
    SH_TRY(keep_said(&hs->peer_hello, payload));
    take_hello(hs, hello);
    SH_TRY(check_purpose(hs, hello));
    if (hs->role == SH_ANCHOR) {
        if (hello->purpose == SIMHOP__PURPOSE__PURPOSE_CALIBRATE)
            sh_hs_set_purpose(hs, SH_PURPOSE_CALIBRATE);
        SH_TRY(meet(hs, hello));
        /* Who is locked out learns it now, not after holding still for three seconds. */
        uint32_t wait_s = 0;
        if (!hs->reconnect)
            SH_TRY(hs->ops->gate(&wait_s, hs->user));
        SH_TRY(sh_hs_send_hello(hs));
    }
    begin_measure(hs);
    return SH_OK;
}

void sh_hs_begin_watch(struct sh_handshake *hs)
{
    hs->away = SH_AWAY_NOT;
    hs->sampling = true;
    hs->ops->sample(true, hs->user);
}

enum sh_cause sh_hs_watch_tick(struct sh_handshake *hs)
{
    struct sh_proximity_estimate estimate = sh_proximity_at(hs->watch, hs->now);
    if (hs->near_is_optional || !sh_away_look(&hs->away, &estimate, hs->now))
        return SH_OK;
    hs->ops->proximity(&estimate, true, hs->user);
    return sh_fail(SH_NEAR_TOO_FAR, "it was carried away while the code was awaited, about %.1f m",
                   estimate.metres);
}

/* Both statements are there: what they and the greetings say is the transcript. */
static enum sh_cause make_transcript(struct sh_handshake *hs)
{
    static const char label[] = "simhop1 transcript";
    uint8_t lengths[4][4];
    struct sh_bytes pieces[9] = {SH_BYTES(label, sizeof(label))};
    static const struct {
        enum sh_role role;
        bool hello;
    } order[4] = {
        {SH_SECONDARY, true}, {SH_ANCHOR, true}, {SH_SECONDARY, false}, {SH_ANCHOR, false}};
    for (size_t i = 0; i < SH_COUNT(order); i++) {
        const struct said *said = sh_hs_said_by(hs, order[i].role, order[i].hello);
        lengths[i][0] = (uint8_t)(said->n >> 24);
        lengths[i][1] = (uint8_t)(said->n >> 16);
        lengths[i][2] = (uint8_t)(said->n >> 8);
        lengths[i][3] = (uint8_t)said->n;
        pieces[1 + 2 * i] = SH_BYTES(lengths[i], 4);
        pieces[2 + 2 * i] = SH_BYTES(said->bytes, said->n);
    }
    hs->have_transcript = true;
    return sh_sha256(pieces, SH_COUNT(pieces), hs->result.transcript);
}

static enum sh_cause send_proximity(struct sh_handshake *hs)
{
    const struct sh_proximity_estimate *estimate = &hs->result.proximity;
    Simhop__Proximity statement;
    char rssi[] = "rssi", sounding[] = "channel-sounding";
    uint8_t commitment[SH_COMMITMENT_SIZE];
    simhop__proximity__init(&statement);
    statement.accept = estimate->verdict == SH_PROXIMITY_ACCEPT;
    statement.not_demanded = hs->near_is_optional;
    if (!isnan(estimate->metres) && estimate->metres < 4e6)
        statement.millimetres = (uint32_t)(estimate->metres * 1000.0);
    statement.confidence_percent = estimate->confidence_percent;
    statement.samples = estimate->samples;
    if (!isnan(estimate->level_dbm))
        statement.level_centi_dbm = (int32_t)(estimate->level_dbm * 100.0);
    statement.backend = estimate->evidence.sounding ? sounding : rssi;
    if (statement.accept || hs->near_is_optional) {
        SH_TRY(sh_samples_commit(&hs->result.samples, hs->nonce, commitment));
        statement.commitment = (ProtobufCBinaryData){sizeof(commitment), commitment};
    }
    return send_said(hs, SH_MSG_PROXIMITY, &statement.base, &hs->our_proximity);
}

/* The secondary states first; the anchor's answer, which needs both verdicts, opens what follows. */
static enum sh_cause both_near(struct sh_handshake *hs)
{
    if (hs->role == SH_ANCHOR)
        SH_TRY(send_proximity(hs));
    SH_TRY(make_transcript(hs));
    if (hs->reconnect) {
        sh_hs_enter_tls(hs);
        return SH_OK;
    }
    return sh_hs_begin_confirm(hs);
}

enum sh_cause sh_hs_on_proximity(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    if (hs->have_peer_proximity)
        return sh_fail(SH_PROTO_WRONG_STATE, "proximity came twice");
    SH_TRY(sh_msg_unpack(SH_MSG_PROXIMITY, payload, &message));
    const Simhop__Proximity *statement = (const Simhop__Proximity *)message;
    SH_TRY(keep_said(&hs->peer_proximity, payload));
    hs->have_peer_proximity = true;
    if (!statement->accept && (!statement->not_demanded || hs->near_is_strict))
        return sh_fail(SH_NEAR_PEER_TOO_FAR, "the other device estimates %.1f m",
                       (double)statement->millimetres / 1000.0);
    if (statement->commitment.len != SH_COMMITMENT_SIZE)
        return sh_fail(SH_PROTO_MALFORMED, "proximity: commitment");
    memcpy(hs->result.peer_commitment, statement->commitment.data, SH_COMMITMENT_SIZE);
    if (hs->role == SH_SECONDARY && hs->state == STATE_MEASURE)
        return sh_fail(SH_PROTO_WRONG_STATE, "the anchor stated its proximity too early");
    return hs->state == STATE_PEER_MEASURE ? both_near(hs) : SH_OK;
}

enum sh_cause sh_hs_measure_tick(struct sh_handshake *hs)
{
    if (hs->state != STATE_MEASURE)
        return SH_OK;
    struct sh_proximity_estimate estimate = sh_proximity_at(hs->proximity, hs->now);
    if (hs->near_is_optional &&
        hs->now >= hs->deadline) /* a radio that says nothing is no reason either */
        estimate = sh_proximity_finish(hs->proximity);
    /* What is clear early is decided early, but a calibration wants all that it can get. */
    bool decided =
        estimate.verdict != SH_PROXIMITY_UNDECIDED &&
        (hs->purpose != SH_PURPOSE_CALIBRATE || hs->now >= hs->measure_started + SH_MEASURE_MS);
    if (decided || hs->now >= hs->proximity_said + METER_MS) {
        hs->proximity_said = hs->now;
        hs->ops->proximity(&estimate, decided, hs->user);
    }
    if (!decided)
        return SH_OK;
    hs->result.proximity = estimate;
    hs->sampling = false;
    hs->ops->sample(false, hs->user);
    sh_log("handshake: measured %u samples, %.1f a second", estimate.samples,
           estimate.evidence.rate_hz);
    if (estimate.verdict == SH_PROXIMITY_REJECT && !hs->near_is_optional) {
        SH_TRY(send_proximity(hs));
        return sh_fail(SH_NEAR_TOO_FAR, "about %.1f m%s", estimate.metres,
                       sh_nearness_hint(&estimate));
    }
    if (hs->role == SH_SECONDARY)
        SH_TRY(send_proximity(hs));
    sh_hs_go(hs, STATE_PEER_MEASURE,
             estimate.verdict == SH_PROXIMITY_ACCEPT ? "near" : "not near, which is not demanded");
    return hs->have_peer_proximity ? both_near(hs) : SH_OK;
}
