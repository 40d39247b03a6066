/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When a transfer is over for want of bytes, an engine: what moves comes in, "it is over" goes out. No link up for SH_NO_LINK_MS, or
 * links up and nothing newly verified for SH_IDLE_MS; not while further links are expected, at most SH_EXPECTED_MS of that.
 *
 * A jump of the time by more than two seconds between two calls (the machine slept, a disk was synced) counts as two: the others are
 * not blamed for our absence.
 */
#ifndef SIMHOP_TRANSFER_PATIENCE_H
#define SIMHOP_TRANSFER_PATIENCE_H

#include "proto/base.h"

#define SH_NO_LINK_MS 10000 /* without any link up */
#define SH_IDLE_MS    20000 /* links are up and nothing is verified */
#define SH_EXPECTED_MS                                                                             \
    60000 /* links that are expected again and again keep it for so long, nothing being verified */
#define SH_ABSENT_MS 2000 /* a longer jump of the time was not ours to choose */

enum sh_patience_end { SH_PATIENCE_LASTS, SH_PATIENCE_NO_LINK, SH_PATIENCE_IDLE };

/* Times but `last` and `expected` are in its own time, see sh_patience_clock. */
struct sh_patience {
    sh_ms last, skew;
    sh_ms moved;       /* something was newly verified, or a first link came up */
    unsigned graces;   /* times that moved was set without a byte */
    sh_ms no_link;     /* since then, SH_NEVER while one is up */
    sh_ms expected;    /* links are being tried until then */
    sh_ms verified_at; /* as moved, without graces */
};

void sh_patience_begin(struct sh_patience *patience, sh_ms now);
/* To be called first with each time that comes in: the engine's own time, which the calls below take. */
sh_ms sh_patience_clock(struct sh_patience *patience, sh_ms now);
/* Something was newly verified. */
void sh_patience_moved(struct sh_patience *patience, sh_ms clock);
/* A link is up; the last one is gone. */
void sh_patience_link_up(struct sh_patience *patience, sh_ms clock);
void sh_patience_no_link(struct sh_patience *patience, sh_ms clock);
/* more: to be waited beyond the usual limits, for what the other side has to hash first. */
enum sh_patience_end sh_patience_look(const struct sh_patience *patience, sh_ms more, sh_ms clock);

#endif
