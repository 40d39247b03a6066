/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine's sleep, as systemd-logind has it (org.freedesktop.login1(5), "Inhibitor Locks"). While bytes move sleep is
 * blocked where polkit lets us, and delayed where not, so that we hear of it first; else neither. That it has slept is known
 * from logind's word, and without one from the clocks: CLOCK_BOOTTIME goes on in sleep, CLOCK_MONOTONIC does not.
 *
 * Nothing here is needed: without a bus or a logind, or with one that hangs, nothing is locked, which is logged and no
 * more, and the clocks still tell.
 */
#ifndef SIMHOP_SYSTEM_SLEEP_H
#define SIMHOP_SYSTEM_SLEEP_H

#include <event2/event.h>

#include "proto/cause.h"

#define SH_SLEPT_MS 2000 /* more than the clocks may part by without sleep */

struct sh_sleep_ops {
    /* The machine is about to sleep; it does when this returns. Only while bytes move. */
    void (*going)(void *user);
    /* It has slept so long (0: not known, or it did not come to it) since going, or since the last look. */
    void (*woke)(sh_ms slept, void *user);
    /* For tests: how long the machine has slept since it started. NULL: what the kernel's clocks say. */
    sh_ms (*asleep)(void *user);
};

struct sh_sleep;

/* Opens no connection yet. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_sleep_new(struct event_base *base, const struct sh_sleep_ops *ops,
                                       void *user, struct sh_sleep **ret_sleep);
/* NULL is fine. Gives the locks back. Not from a callback. */
void sh_sleep_free(struct sh_sleep *sleep);

/* Do bytes move? To be told as often as one likes. */
void sh_sleep_moving(struct sh_sleep *sleep, bool moving);
/* Looks at the clocks, and calls woke if they have parted. To be called often. */
void sh_sleep_look(struct sh_sleep *sleep);
/* How the sleep is held off now: "block", "delay", "block,delay" or "". */
const char *sh_sleep_held(const struct sh_sleep *sleep);

#endif
