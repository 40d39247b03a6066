/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/thread.h"

#include <sched.h>
#include <signal.h>

bool sh_thread_start(pthread_t *ret_thread, void *(*run)(void *user), void *user)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

void sh_thread_is_bulk(void)
{
    const struct sched_param none = {.sched_priority = 0};
    if (sched_getscheduler(0) == SCHED_OTHER)            /* who chose another one knows why */
        (void)sched_setscheduler(0, SCHED_BATCH, &none); /* goes on without, only slower */
}
