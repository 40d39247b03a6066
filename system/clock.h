/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one clock of the edges: CLOCK_BOOTTIME (clock_gettime(2)), which nobody sets and which goes on while the machine
 * sleeps. Engines read none; time comes in.
 */
#ifndef SIMHOP_SYSTEM_CLOCK_H
#define SIMHOP_SYSTEM_CLOCK_H

#include "proto/base.h"

/* Milliseconds since the machine started. */
sh_ms sh_now(void);

/* How long the machine has slept since then: what CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC by. */
sh_ms sh_asleep(void);

#endif
