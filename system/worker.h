/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread that works off jobs in the order in which they are given: what a loop should not wait for, hashing and the disk. A job
 * goes back and forth as a whole: while the thread has it nobody else looks at it. Jobs of one worker never run at the same time,
 * so what only they touch needs no lock.
 *
 * Without a worker (NULL) a job is done at once by whoever gives it: tests over a virtual clock have no threads.
 */
#ifndef SIMHOP_SYSTEM_WORKER_H
#define SIMHOP_SYSTEM_WORKER_H

#include "proto/cause.h"

struct sh_worker;

/* At the start of one's own struct. */
struct sh_job {
    void (*run)(struct sh_job *job); /* on the thread */
    /* It ran: called by sh_worker_take. lost: the worker is gone, and the job may not have run; called on either thread, only to
     * free what it holds. */
    void (*end)(struct sh_job *job, bool lost);
    struct sh_job *next; /* the worker's */
};

/* Starts the thread. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_worker_new(struct sh_worker **ret_worker);
/* What did not begin is lost, what runs is waited for, but not long: a disk that hangs would hold us. NULL is fine. */
#define SH_WORKER_FREE_MS 1000
void sh_worker_free(struct sh_worker *worker);

/* Becomes readable (poll(2)) when a job ended; sh_worker_take makes it unreadable. */
int sh_worker_fd(const struct sh_worker *worker);

/* The job is the worker's until it ends. more: others come soon, it may wait for some of them, or for sh_worker_hurry. */
void sh_worker_give(struct sh_worker *worker, struct sh_job *job, bool more);
/* Nothing waits any longer. NULL is fine. */
void sh_worker_hurry(struct sh_worker *worker);
/* Ends what ran, in order. NULL is fine. */
void sh_worker_take(struct sh_worker *worker);
/* Waits until all that was given ran, at most so long; then sh_worker_take has it. NULL is fine. */
void sh_worker_await(struct sh_worker *worker, unsigned ms);

#endif
