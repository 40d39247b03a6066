/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recorded trace, whole and in pieces: both are the same trace. */
#include <math.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "pairing/replay.h"

static enum sh_cause replay(const uint8_t *data, size_t size, size_t piece,
                            struct sh_replay_result *ret_result)
{
    SH_CLEANUP(sh_replay_freep) struct sh_replay *replay = sh_replay_new(SH_PROXIMITY_NORMAL);
    fuzz_assert(replay);
    for (size_t i = 0; i < size; i += piece)
        SH_TRY(sh_replay_rx(replay, SH_BYTES(data + i, SH_MIN(piece, size - i))));
    return sh_replay_end(replay, ret_result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_replay_result whole, pieces;
    if (size == 0)
        return 0;
    enum sh_cause cause = replay(data, size, size, &whole);
    fuzz_assert(replay(data, size, 1 + data[0] % 64, &pieces) == cause);
    if (cause != SH_OK)
        return 0;
    bool accept = whole.estimate.verdict == SH_PROXIMITY_ACCEPT;
    fuzz_assert(accept || whole.estimate.verdict == SH_PROXIMITY_REJECT);
    fuzz_assert(isfinite(whole.margin_db) && accept == (whole.margin_db >= 0.0));
    fuzz_assert(whole.decided_at <= UINT64_C(1000000000000) && isfinite(whole.level.dbm));
    fuzz_assert(pieces.estimate.verdict == whole.estimate.verdict &&
                pieces.decided_at == whole.decided_at && pieces.margin_db == whole.margin_db);
    return 0;
}
