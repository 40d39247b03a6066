/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads beside the loop: on none of them a signal of the program's is handled. */
#ifndef SIMHOP_SYSTEM_THREAD_H
#define SIMHOP_SYSTEM_THREAD_H

#include <pthread.h>

#include "proto/base.h"

/* pthread_create(3) with all signals blocked on the new thread; false: there is none. */
SH_MUST_USE bool sh_thread_start(pthread_t *ret_thread, void *(*run)(void *user), void *user);

#endif
