/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A recorded trace of signal strengths, read as a stream and judged by the engine of live sessions
 * (pairing/proximity.h, `measure`). Constant memory however long the trace is.
 *
 *   # tx_power_dbm=-4 ref1m_dbm=-60.5 ref1m_peer_dbm=nan     what is known of the level at one metre
 *   0.000 -58 L                                              seconds, dBm, whose receiver: L ours, R the peer's
 *   0.021 -61 R
 *
 * A line that begins with # is a comment; the three words above count in it, up to the first sample, and the last of
 * each. What is missing or nan is unknown. Blank lines and CR before LF are fine. Time is 0 to 10^9 s, counted in whole
 * milliseconds. A sample without a usable value (127, nan, inf, what no receiver reports) or before the one ahead of it
 * does not count; fractions of a dB are rounded. Everything else is usage.bad-input, with the number of the line.
 */
#ifndef SIMHOP_PAIRING_REPLAY_H
#define SIMHOP_PAIRING_REPLAY_H

#include "pairing/proximity.h"

#define SH_REPLAY_LINE_MAX 512 /* octets of a line */

struct sh_replay_result {
    struct sh_proximity_estimate estimate; /* accepted or rejected */
    struct sh_level level;                 /* of our receiver */
    sh_ms decided_at; /* time of the sample that decided, of the last one else */
    double margin_db; /* sh_proximity_margin */
};

struct sh_replay;

/* NULL when there is no memory. */
struct sh_replay *sh_replay_new(enum sh_proximity_rule rule);
void sh_replay_free(struct sh_replay *replay);
void sh_replay_freep(struct sh_replay **replay);

/* The next octets. Fails with usage.bad-input, env.no-memory; not to be called again then. */
SH_MUST_USE enum sh_cause sh_replay_rx(struct sh_replay *replay, struct sh_bytes bytes);
/* The trace ends here. Fails as rx does (the last line may lack its LF). */
SH_MUST_USE enum sh_cause sh_replay_end(struct sh_replay *replay,
                                        struct sh_replay_result *ret_result);

#endif
