/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/worker.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "system/thread.h"

#define TELL_EVERY 16 /* jobs, while there are more: whoever is busy looks by himself */
#define BEGIN_AT   8 /* jobs that wait for more: to wake a thread for each costs as much as the job */

struct queue {
    struct sh_job *first, **last;
};

/* Freed by whoever is last: the owner, or the thread if it is still in a job then. */
struct sh_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, idle;
    struct queue queued, done;
    unsigned waiting; /* in queued */
    unsigned untold;  /* in done */
    bool running;     /* a job that is in neither queue */
    bool waits;       /* the thread, for a job */
    bool quit;
    bool abandoned; /* the owner is gone: the thread frees */
    int fd;
};

static void queue_clear(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_put(struct queue *queue, struct sh_job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static struct sh_job *queue_get(struct queue *queue)
{
    struct sh_job *job = queue->first;
    queue->first = job->next;
    if (!queue->first)
        queue->last = &queue->first;
    return job;
}

static void lose(struct queue *queue)
{
    while (queue->first) {
        struct sh_job *job = queue_get(queue);
        job->end(job, true);
    }
}

static void destroy(struct sh_worker *worker)
{
    lose(&worker->done);
    lose(&worker->queued);
    sh_closep(&worker->fd);
    pthread_cond_destroy(&worker->given);
    pthread_cond_destroy(&worker->idle);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

/* With the lock. */
static void ran(struct sh_worker *worker, struct sh_job *job)
{
    static const uint64_t one = 1;
    worker->running = false;
    queue_put(&worker->done, job);
    worker->untold++;
    bool tells = !worker->queued.first || worker->untold >= TELL_EVERY;
    if (worker->quit)
        pthread_cond_broadcast(&worker->idle);
    if (!tells || worker->quit)
        return;
    worker->untold = 0;
    if (write(worker->fd, &one, sizeof(one)) < 0)
        return; /* full: readable anyway */
}

static void *run(void *user)
{
    struct sh_worker *worker = user;
    pthread_mutex_lock(&worker->lock);
    while (!worker->quit) {
        if (!worker->queued.first) {
            pthread_cond_broadcast(&worker->idle);
            worker->waits = true;
            /* waits: until there is work, or for the end */
            pthread_cond_wait(&worker->given, &worker->lock);
            worker->waits = false;
            continue;
        }
        struct sh_job *job = queue_get(&worker->queued);
        worker->waiting--;
        worker->running = true;
        pthread_mutex_unlock(&worker->lock);
        job->run(job);
        pthread_mutex_lock(&worker->lock);
        ran(worker, job);
        if (!worker->abandoned)
            continue;
        pthread_mutex_unlock(&worker->lock);
        destroy(worker);
        return NULL;
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static void begin(struct sh_worker *worker)
{
    pthread_condattr_t monotonic;
    queue_clear(&worker->queued);
    queue_clear(&worker->done);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->given, NULL);
    pthread_cond_init(&worker->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum sh_cause sh_worker_new(struct sh_worker **ret_worker)
{
    struct sh_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return SH_ENV_NO_MEMORY;
    begin(worker);
    worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->fd < 0 || !sh_thread_start(&worker->thread, run, worker)) {
        destroy(worker);
        return SH_ENV_NO_MEMORY;
    }
    *ret_worker = worker;
    return SH_OK;
}

static struct timespec after(unsigned ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    uint64_t ns = (uint64_t)end.tv_nsec + (uint64_t)ms * 1000000;
    end.tv_sec += (time_t)(ns / 1000000000);
    end.tv_nsec = (long)(ns % 1000000000);
    return end;
}

/* A job that hashes is waited for: the process may end next, and what libraries clean up then it must not be using. */
void sh_worker_free(struct sh_worker *worker)
{
    if (!worker)
        return;
    const struct timespec end = after(SH_WORKER_FREE_MS);
    int error = 0;
    pthread_mutex_lock(&worker->lock);
    pthread_t thread = worker->thread;
    worker->quit = true;
    pthread_cond_signal(&worker->given);
    while (worker->running && error != ETIMEDOUT)
        /* waits: for one job, and only so long */
        error = pthread_cond_timedwait(&worker->idle, &worker->lock, &end);
    bool abandons = worker->abandoned = worker->running;
    if (abandons)
        pthread_detach(thread);
    pthread_mutex_unlock(&worker->lock);
    if (abandons) /* the thread's now */
        return;
    /* waits: not busy, so it sees the end at once */
    pthread_join(thread, NULL);
    destroy(worker);
}

int sh_worker_fd(const struct sh_worker *worker)
{
    return worker->fd;
}

void sh_worker_give(struct sh_worker *worker, struct sh_job *job, bool more)
{
    if (!worker) {
        job->run(job);
        job->end(job, false);
        return;
    }
    pthread_mutex_lock(&worker->lock);
    queue_put(&worker->queued, job);
    worker->waiting++;
    bool wake = worker->waits && (!more || worker->waiting >= BEGIN_AT);
    pthread_mutex_unlock(&worker->lock);
    if (wake)
        pthread_cond_signal(&worker->given);
}

void sh_worker_hurry(struct sh_worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    bool wake = worker->waits && worker->queued.first;
    pthread_mutex_unlock(&worker->lock);
    if (wake)
        pthread_cond_signal(&worker->given);
}

void sh_worker_take(struct sh_worker *worker)
{
    struct queue done;
    uint64_t count = 0;
    queue_clear(&done);
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    while (worker->done.first)
        queue_put(&done, queue_get(&worker->done));
    worker->untold = 0;
    /* waits: not at all, it is non-blocking */
    if (done.first && read(worker->fd, &count, sizeof(count)) < 0)
        count = 0; /* nothing to be read: as it should be */
    pthread_mutex_unlock(&worker->lock);
    while (done.first) {
        struct sh_job *job = queue_get(&done);
        job->end(job, false);
    }
}

void sh_worker_await(struct sh_worker *worker, unsigned ms)
{
    if (!worker)
        return;
    sh_worker_hurry(worker);
    const struct timespec end = after(ms);
    int error = 0;
    pthread_mutex_lock(&worker->lock);
    while ((worker->queued.first || worker->running) && error != ETIMEDOUT)
        /* waits: as long as is asked for */
        error = pthread_cond_timedwait(&worker->idle, &worker->lock, &end);
    pthread_mutex_unlock(&worker->lock);
}
