/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Notices that the kernel keeps a thread: a disk, a card or a network file system that does not answer a read or a write (such calls know
 * no deadline). A second thread looks at the first one now and then. It is kept as long as it does not say that it goes on, and what
 * the kernel shows of it (proc(5), /proc/self/task/TID/stat and .../syscall) is that it waits for a device, or in a call on files.
 * Computing for long, sleeping, waiting for events and being stopped are none of that, nor is a machine that sleeps.
 */
#ifndef SIMHOP_SYSTEM_WATCHDOG_H
#define SIMHOP_SYSTEM_WATCHDOG_H

#include "proto/cause.h"

#define SH_WATCHDOG_TICK_MS 500
#define SH_WATCHDOG_TOLD    8  /* ticks: 4 s */
#define SH_WATCHDOG_LAST    60 /* 30 s, as for a disk that syncs */

struct sh_watchdog;

/* Watches the calling thread. kept is called on the other thread, after SH_WATCHDOG_TOLD ticks and, with last, after
 * SH_WATCHDOG_LAST; once each until the thread goes on. tick_ms: SH_WATCHDOG_TICK_MS, less in tests. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_watchdog_new(unsigned tick_ms, void (*kept)(bool last, void *user),
                                          void *user, struct sh_watchdog **ret_watchdog);
/* It goes on. To be said more often than ticks are, by the thread that is watched. */
void sh_watchdog_alive(struct sh_watchdog *watchdog);
/* When this returns kept is not called any more. By the thread that is watched; NULL is fine. */
void sh_watchdog_free(struct sh_watchdog *watchdog);

#endif
