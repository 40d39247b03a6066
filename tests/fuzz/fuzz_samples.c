/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Samples of a peer that has committed to them; what can be read is packed the same again and can be judged. */
#include <math.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "pairing/nearness.h"

static bool is_refusal(enum sh_cause cause)
{
    return cause == SH_PROTO_MALFORMED || cause == SH_PROTO_UNKNOWN_ENUM ||
           cause == SH_PROTO_FRAME_TOO_LONG;
}

static void check_pack(const struct sh_samples *samples, struct sh_bytes payload)
{
    struct sh_samples_message message;
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    fuzz_assert(sh_msg_unpack(SH_MSG_SAMPLES, payload, &unpacked) == SH_OK);
    const Simhop__Samples *said = (const Simhop__Samples *)unpacked;
    sh_samples_fill(samples, &message);
    fuzz_assert(message.base.samples.len == said->samples.len &&
                memcmp(message.packed, said->samples.data, said->samples.len) == 0);
    fuzz_assert(message.base.level_centi_dbm == said->level_centi_dbm &&
                message.base.n_heard == said->n_heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char label[] = "simhop1 samples";
    static const uint8_t nonce[SH_HELLO_NONCE];
    const struct sh_bytes payload = SH_BYTES(data, size);
    const struct sh_bytes pieces[] = {SH_BYTES(label, sizeof(label)),
                                      SH_BYTES(nonce, sizeof(nonce)), payload};
    uint8_t commitment[SH_COMMITMENT_SIZE];
    struct sh_samples theirs;
    fuzz_assert(sh_sha256(pieces, SH_COUNT(pieces), commitment) == SH_OK);
    enum sh_cause cause = sh_samples_open(payload, nonce, commitment, &theirs);
    if (cause != SH_OK) {
        fuzz_assert(is_refusal(cause));
        return 0;
    }
    check_pack(&theirs, payload);
    struct sh_samples ours = {.level = {-60.0, SH_LEVEL_CALIBRATED}};
    for (unsigned i = 0; i < 60; i++)
        sh_samples_add(&ours, i * 50, -50, SH_CHANNEL_UNKNOWN);
    struct sh_proximity_estimate estimate = {.verdict = SH_PROXIMITY_ACCEPT};
    struct sh_nearness_input input = {.estimate = &estimate, .ours = &ours, .theirs = &theirs};
    struct sh_nearness nearness;
    fuzz_assert(sh_nearness_judge(&input, &nearness) == SH_OK);
    fuzz_assert(isfinite(nearness.joint.evidence.asymmetry_db)); /* theirs always count */
    cause = sh_nearness_cause(&nearness);
    fuzz_assert(cause == SH_OK || cause == SH_NEAR_ASYMMETRIC || cause == SH_NEAR_TOO_FAR);
    return 0;
}
