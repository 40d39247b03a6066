/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DBM_MIN     (-127)
#define DBM_MAX     20
#define CHANNELS    40
#define REF_MIN_DBM (-90.0)
#define REF_MAX_DBM (-20.0)

/* ---- Recording ---- */

/* Half of them, evenly, so that the end of a long measurement has its place. */
static void thin(struct sh_samples *samples)
{
    for (size_t i = 0; i < SH_SAMPLES_MAX / 2; i++)
        samples->at[i] = samples->at[2 * i];
    samples->count = SH_SAMPLES_MAX / 2;
    samples->stride *= 2;
}

void sh_samples_add(struct sh_samples *samples, sh_ms at, int dbm, uint8_t channel)
{
    if (dbm < DBM_MIN || dbm > DBM_MAX)
        return;
    if (samples->total == 0) {
        samples->first = at;
        samples->stride = 1;
    }
    if (at < samples->last || at - samples->first > SH_SAMPLES_SPAN_MS)
        return;
    samples->last = at;
    if (samples->total++ % samples->stride == 0) {
        if (samples->count == SH_SAMPLES_MAX)
            thin(samples);
        samples->at[samples->count].ms = (uint16_t)(at - samples->first);
        samples->at[samples->count].dbm = (int8_t)dbm;
        samples->at[samples->count++].channel = channel < CHANNELS ? channel : SH_CHANNEL_UNKNOWN;
    }
    if (at > samples->first)
        samples->rate_hz = (samples->total - 1) * 1000.0 / (double)(at - samples->first);
}

/* ---- Packing ---- */

static size_t pack(const struct sh_samples *samples, uint8_t *out)
{
    uint16_t before = 0;
    for (size_t i = 0; i < samples->count; i++) {
        uint16_t gap = (uint16_t)(samples->at[i].ms - before);
        before = samples->at[i].ms;
        *out++ = (uint8_t)(gap >> 8);
        *out++ = (uint8_t)gap;
        *out++ = (uint8_t)samples->at[i].dbm;
        *out++ = samples->at[i].channel;
    }
    return samples->count * SH_SAMPLE_OCTETS;
}

static Simhop__LevelKind kind_of(enum sh_level_kind kind)
{
    static const Simhop__LevelKind kinds[] = {
        [SH_LEVEL_ASSUMED] = SIMHOP__LEVEL_KIND__LEVEL_KIND_ASSUMED,
        [SH_LEVEL_STATED] = SIMHOP__LEVEL_KIND__LEVEL_KIND_STATED,
        [SH_LEVEL_CALIBRATED] = SIMHOP__LEVEL_KIND__LEVEL_KIND_CALIBRATED};
    return kinds[kind];
}

void sh_samples_fill(const struct sh_samples *samples, struct sh_samples_message *message)
{
    simhop__samples__init(&message->base);
    memcpy(message->salt, samples->salt, sizeof(message->salt));
    message->base.salt = (ProtobufCBinaryData){sizeof(message->salt), message->salt};
    message->base.level_centi_dbm = (int32_t)lround(samples->level.dbm * 100.0);
    message->base.level_kind = kind_of(samples->level.kind);
    message->base.rate_centi_hz = (uint32_t)lround(fmin(samples->rate_hz, 1e6) * 100.0);
    message->base.samples = (ProtobufCBinaryData){pack(samples, message->packed), message->packed};
    for (size_t i = 0; i < samples->heard_count; i++) {
        Simhop__HeardId *heard = &message->heard[i];
        simhop__heard_id__init(heard);
        memcpy(message->ids[i], samples->heard[i].id, SH_ROTATING_ID_SIZE);
        heard->id = (ProtobufCBinaryData){SH_ROTATING_ID_SIZE, message->ids[i]};
        heard->dbm = samples->heard[i].dbm;
        message->heard_list[i] = heard;
    }
    message->base.n_heard = samples->heard_count;
    message->base.heard = message->heard_list;
}

/* ---- The commitment ---- */

static enum sh_cause commitment_of(const uint8_t nonce[SH_HELLO_NONCE], struct sh_bytes payload,
                                   uint8_t out[SH_COMMITMENT_SIZE])
{
    static const char label[] = "simhop1 samples";
    const struct sh_bytes pieces[] = {SH_BYTES(label, sizeof(label)),
                                      SH_BYTES(nonce, SH_HELLO_NONCE), payload};
    return sh_sha256(pieces, SH_COUNT(pieces), out);
}

enum sh_cause sh_samples_commit(struct sh_samples *samples, const uint8_t nonce[SH_HELLO_NONCE],
                                uint8_t ret_commitment[SH_COMMITMENT_SIZE])
{
    struct sh_samples_message message;
    sh_autofree uint8_t *frame = NULL;
    size_t n = 0;
    SH_TRY(sh_random(samples->salt, sizeof(samples->salt)));
    sh_samples_fill(samples, &message);
    SH_TRY(sh_msg_frame(SH_MSG_SAMPLES, &message.base.base, &frame, &n));
    return commitment_of(nonce, SH_BYTES(frame + SH_FRAME_HEADER, n - SH_FRAME_HEADER),
                         ret_commitment);
}

/* ---- Reading the peer's ---- */

static enum sh_cause read_level(const Simhop__Samples *message, struct sh_level *ret_level)
{
    ret_level->dbm = message->level_centi_dbm / 100.0;
    if (ret_level->dbm < REF_MIN_DBM || ret_level->dbm > REF_MAX_DBM)
        return sh_fail(SH_PROTO_MALFORMED, "samples: level");
    if (message->level_kind == SIMHOP__LEVEL_KIND__LEVEL_KIND_ASSUMED)
        ret_level->kind = SH_LEVEL_ASSUMED;
    else if (message->level_kind == SIMHOP__LEVEL_KIND__LEVEL_KIND_STATED)
        ret_level->kind = SH_LEVEL_STATED;
    else if (message->level_kind == SIMHOP__LEVEL_KIND__LEVEL_KIND_CALIBRATED)
        ret_level->kind = SH_LEVEL_CALIBRATED;
    else
        return sh_fail(SH_PROTO_UNKNOWN_ENUM, "samples: how the level is known");
    return SH_OK;
}

static enum sh_cause read_packed(const ProtobufCBinaryData *packed, struct sh_samples *samples)
{
    uint32_t ms = 0;
    samples->count = packed->len / SH_SAMPLE_OCTETS;
    if (packed->len % SH_SAMPLE_OCTETS != 0 || samples->count > SH_SAMPLES_MAX ||
        samples->count < SH_MEASURE_SAMPLES)
        return sh_fail(SH_PROTO_MALFORMED, "samples: %zu octets", packed->len);
    for (size_t i = 0; i < samples->count; i++) {
        const uint8_t *p = packed->data + i * SH_SAMPLE_OCTETS;
        uint32_t gap = (uint32_t)p[0] << 8 | p[1];
        int dbm = p[2] < 128 ? p[2] : p[2] - 256;
        ms += gap;
        if ((i == 0 && gap != 0) || ms > SH_SAMPLES_SPAN_MS || dbm < DBM_MIN || dbm > DBM_MAX ||
            (p[3] >= CHANNELS && p[3] != SH_CHANNEL_UNKNOWN))
            return sh_fail(SH_PROTO_MALFORMED, "samples: number %zu", i);
        samples->at[i].ms = (uint16_t)ms;
        samples->at[i].dbm = (int8_t)dbm;
        samples->at[i].channel = p[3];
    }
    return SH_OK;
}

static enum sh_cause read_heard(const Simhop__Samples *message, struct sh_samples *samples)
{
    if (message->n_heard > SH_HEARD_MAX)
        return sh_fail(SH_PROTO_MALFORMED, "samples: %zu identifiers", message->n_heard);
    for (size_t i = 0; i < message->n_heard; i++) {
        const Simhop__HeardId *heard = message->heard[i];
        if (heard->id.len != SH_ROTATING_ID_SIZE || heard->dbm < DBM_MIN || heard->dbm > DBM_MAX)
            return sh_fail(SH_PROTO_MALFORMED, "samples: identifier %zu", i);
        memcpy(samples->heard[i].id, heard->id.data, SH_ROTATING_ID_SIZE);
        samples->heard[i].dbm = heard->dbm;
    }
    samples->heard_count = message->n_heard;
    return SH_OK;
}

enum sh_cause sh_samples_open(struct sh_bytes payload, const uint8_t nonce[SH_HELLO_NONCE],
                              const uint8_t commitment[SH_COMMITMENT_SIZE],
                              struct sh_samples *ret_samples)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    struct sh_samples samples = {0};
    uint8_t made[SH_COMMITMENT_SIZE];
    SH_TRY(commitment_of(nonce, payload, made));
    if (!sh_equal(made, commitment, sizeof(made)))
        return SH_NEAR_CHANGED;
    SH_TRY(sh_msg_unpack(SH_MSG_SAMPLES, payload, &unpacked));
    const Simhop__Samples *message = (const Simhop__Samples *)unpacked;
    if (message->salt.len != SH_SALT_SIZE)
        return sh_fail(SH_PROTO_MALFORMED, "samples: salt");
    memcpy(samples.salt, message->salt.data, SH_SALT_SIZE);
    SH_TRY(read_level(message, &samples.level));
    samples.rate_hz = message->rate_centi_hz / 100.0;
    SH_TRY(read_packed(&message->samples, &samples));
    SH_TRY(read_heard(message, &samples));
    *ret_samples = samples;
    return SH_OK;
}
