/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the store: fdatasync on a thread of its own, so that a slow disk holds up neither the links nor what the person sees.
 * One job at a time: the data, then the journal beside it. The thread knows two descriptors, which are its own copies, and
 * nothing else of ours; it may outlive the syncer when the disk hangs.
 */
#ifndef SIMHOP_TRANSFER_SYNCER_H
#define SIMHOP_TRANSFER_SYNCER_H

#include "proto/base.h"
#include "proto/cause.h"

struct sh_syncer;

/* Starts the thread. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_syncer_new(struct sh_syncer **ret_syncer);
/* Does not wait for a job that runs: it comes to its end by itself. */
void sh_syncer_free(struct sh_syncer *syncer);

/* Nothing runs and nothing waits to be taken? */
bool sh_syncer_is_idle(struct sh_syncer *syncer);
/* Begins, while it is idle, and closes the descriptors in the end. owner: whoever takes the result. */
void sh_syncer_begin(struct sh_syncer *syncer, int data_fd, int journal_fd, void *owner);
/* Has a job ended? Then its owner and result (SH_OK, store.* by errno) are given, once. The owner is NULL if it was dropped. */
bool sh_syncer_take(struct sh_syncer *syncer, void **ret_owner, enum sh_cause *ret_cause);
/* The owner goes away: nobody takes the result of its job any more. */
void sh_syncer_drop(struct sh_syncer *syncer, const void *owner);

#endif
