/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a linked device says it found one metre away, and what the anchor makes of it. The first two octets are by how much we hear it
 * louder and what we would go by otherwise, the rest is the message. What is kept is a level that a device can have. */
#include <math.h>

#include "fuzz/fuzz.h"
#include "pairing/calibration.h"
#include "pairing/proximity.h"

static bool is_refusal(enum sh_cause cause)
{
    return cause == SH_PROTO_MALFORMED || cause == SH_PROTO_FRAME_TOO_LONG ||
           cause == SH_CALIBRATE_TOO_FEW || cause == SH_CALIBRATE_NOT_MOVED ||
           cause == SH_CALIBRATE_UNSTEADY || cause == SH_CALIBRATE_IMPOSSIBLE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_calibrated theirs, ours, again;
    Simhop__Calibration message;
    uint8_t packed[64];
    if (size < 2)
        return 0;
    double offset = data[0] - 128, usual = -20 - data[1] % 71;
    enum sh_cause cause =
        sh_calibrated_unpack(SH_MSG_CALIBRATE, SH_BYTES(data + 2, size - 2), &theirs);
    if (cause == SH_OK) {
        sh_calibrated_fill(&theirs, &message);
        size_t n = protobuf_c_message_pack(&message.base, packed);
        fuzz_assert(sh_calibrated_unpack(SH_MSG_CALIBRATED, SH_BYTES(packed, n), &again) == SH_OK);
        fuzz_assert(fabs(again.dbm - theirs.dbm) < 0.001 && again.samples == theirs.samples);
        cause = sh_calibrated_mirror(&theirs, offset, usual, &ours);
    }
    if (cause != SH_OK) {
        fuzz_assert(is_refusal(cause));
        return 0;
    }
    fuzz_assert(sh_level_best(ours.dbm, 0.0).kind == SH_LEVEL_CALIBRATED);
    fuzz_assert(fabs(ours.dbm - usual) <= SH_CALIBRATE_OFF_DB);
    fuzz_assert(isfinite(ours.spread_db) && ours.samples >= SH_CALIBRATE_SAMPLES);
    return 0;
}
