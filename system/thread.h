/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads beside the loop: on none of them a signal of the program's is handled. */
#ifndef SIMHOP_SYSTEM_THREAD_H
#define SIMHOP_SYSTEM_THREAD_H

#include <pthread.h>

#include "proto/base.h"

/* pthread_create(3) with all signals blocked on the new thread; false: there is none. */
SH_MUST_USE bool sh_thread_start(pthread_t *ret_thread, void *(*run)(void *user), void *user);

/* From now on this thread, and those that it starts, do not push others off a processor when they wake (SCHED_BATCH,
 * sched(7)). Of two threads that work for each other, on one processor, each would else do so for every piece. */
void sh_thread_is_bulk(void);

#endif
