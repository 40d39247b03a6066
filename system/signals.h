/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT and SIGTERM as a descriptor (signalfd(2)): blocked, so that one that comes while nobody looks is neither lost nor kills, but waits
 * for who looks next.
 */
#ifndef SIMHOP_SYSTEM_SIGNALS_H
#define SIMHOP_SYSTEM_SIGNALS_H

#include <signal.h>

#include "proto/cause.h"

/* Blocks the two on the calling thread (ret_before, which may be NULL, gets the mask before: pthread_sigmask(3) gives it back) and opens
 * *ret_fd, the caller's to close: readable when one waits, close-on-exec, non-blocking. Fails with what signalfd gives (see
 * sh_cause_of_errno); then nothing is blocked. */
SH_MUST_USE enum sh_cause sh_signals_open(int *ret_fd, sigset_t *ret_before);

/* Takes all that wait; true: one did. */
bool sh_signals_take(int fd);

#endif
