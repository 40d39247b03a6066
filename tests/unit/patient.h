/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For a test of what happens in time, on a machine that may be slow: while `patient` is set, whoever waits for another thread with a
 * limit (pthread_cond_timedwait) waits for as long as it takes. Stands before the library's.
 */
#ifndef SIMHOP_TESTS_PATIENT_H
#define SIMHOP_TESTS_PATIENT_H

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static atomic_bool patient;

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *end)
{
    int (*with_limit)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (patient || !symbol)
        return pthread_cond_wait(cond, mutex);
    memcpy(&with_limit, &symbol, sizeof(symbol)); /* ISO C knows no other way */
    return with_limit(cond, mutex, end);
}

#endif
