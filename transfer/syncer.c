/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/syncer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "system/thread.h"

enum state { IDLE, BUSY, ENDED, QUIT };

/* Freed by whoever is last: the thread sees QUIT, or the owner sees that nothing runs. */
struct sh_syncer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum state state;
    bool quit; /* set while BUSY: the thread frees */
    int data_fd, journal_fd;
    int error;   /* errno of the job that ended */
    void *owner; /* not the thread's */
};

static void destroy(struct sh_syncer *syncer)
{
    pthread_cond_destroy(&syncer->changed);
    pthread_mutex_destroy(&syncer->lock);
    free(syncer);
}

static int sync_both(int data_fd, int journal_fd)
{
    int error = 0;
    /* waits: for the disk, on this thread; whoever takes the result has a deadline */
    if (fdatasync(data_fd) < 0 || fdatasync(journal_fd) < 0)
        error = errno;
    close(data_fd);
    close(journal_fd);
    return error;
}

static void *run(void *user)
{
    struct sh_syncer *syncer = user;
    pthread_mutex_lock(&syncer->lock);
    for (;;) {
        while (syncer->state != BUSY && syncer->state != QUIT)
            /* waits: until there is work or the owner says QUIT */
            pthread_cond_wait(&syncer->changed, &syncer->lock);
        if (syncer->state == QUIT)
            break;
        int data_fd = syncer->data_fd, journal_fd = syncer->journal_fd;
        pthread_mutex_unlock(&syncer->lock);
        int error = sync_both(data_fd, journal_fd);
        pthread_mutex_lock(&syncer->lock);
        syncer->error = error;
        syncer->state = ENDED;
        if (syncer->quit)
            break;
    }
    bool ours = syncer->quit;
    pthread_mutex_unlock(&syncer->lock);
    if (ours)
        destroy(syncer);
    return NULL;
}

enum sh_cause sh_syncer_new(struct sh_syncer **ret_syncer)
{
    struct sh_syncer *syncer = calloc(1, sizeof(*syncer));
    if (!syncer)
        return SH_ENV_NO_MEMORY;
    pthread_mutex_init(&syncer->lock, NULL);
    pthread_cond_init(&syncer->changed, NULL);
    if (!sh_thread_start(&syncer->thread, run, syncer)) {
        destroy(syncer);
        return SH_ENV_NO_MEMORY;
    }
    *ret_syncer = syncer;
    return SH_OK;
}

void sh_syncer_free(struct sh_syncer *syncer)
{
    if (!syncer)
        return;
    pthread_mutex_lock(&syncer->lock);
    bool busy = syncer->state == BUSY;
    pthread_t thread = syncer->thread;
    if (busy)
        syncer->quit = true;
    else
        syncer->state = QUIT;
    pthread_cond_signal(&syncer->changed);
    if (busy)
        pthread_detach(thread);
    pthread_mutex_unlock(&syncer->lock);
    if (busy)
        return;
    /* waits: not busy, so it sees QUIT at once */
    pthread_join(thread, NULL);
    destroy(syncer);
}

bool sh_syncer_is_idle(struct sh_syncer *syncer)
{
    pthread_mutex_lock(&syncer->lock);
    bool idle = syncer->state == IDLE;
    pthread_mutex_unlock(&syncer->lock);
    return idle;
}

void sh_syncer_begin(struct sh_syncer *syncer, int data_fd, int journal_fd, void *owner)
{
    pthread_mutex_lock(&syncer->lock);
    syncer->data_fd = data_fd;
    syncer->journal_fd = journal_fd;
    syncer->owner = owner;
    syncer->state = BUSY;
    pthread_cond_signal(&syncer->changed);
    pthread_mutex_unlock(&syncer->lock);
}

bool sh_syncer_take(struct sh_syncer *syncer, void **ret_owner, enum sh_cause *ret_cause)
{
    pthread_mutex_lock(&syncer->lock);
    bool ended = syncer->state == ENDED;
    int error = syncer->error;
    if (ended)
        syncer->state = IDLE;
    pthread_mutex_unlock(&syncer->lock);
    if (!ended)
        return false;
    *ret_owner = syncer->owner;
    *ret_cause = error == 0 ? SH_OK : sh_cause_of_errno(error, "fdatasync");
    return true;
}

void sh_syncer_drop(struct sh_syncer *syncer, const void *owner)
{
    if (syncer->owner == owner)
        syncer->owner = NULL;
}
