/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/thread.h"

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
