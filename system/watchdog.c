/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/watchdog.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "system/thread.h"

struct sh_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool quit;
    unsigned tick_ms;
    pid_t watched;
    atomic_uint alive;
    void (*kept)(bool last, void *user);
    void *user;
};

/* A file of /proc/self/task/TID; "" if it cannot be read. */
static void read_task(pid_t task, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)task, name);
    sh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[SH_MAX(n, (ssize_t)0)] = '\0';
}

/* In a call that a file system answers? One over the network, or in a process of its own, lets it look asleep. */
static bool is_in_file_call(pid_t task)
{
    static const long calls[] = {SYS_read,      SYS_write,    SYS_pread64,   SYS_pwrite64,
                                 SYS_preadv,    SYS_pwritev,  SYS_fsync,     SYS_fdatasync,
                                 SYS_openat,    SYS_unlinkat, SYS_renameat2, SYS_linkat,
                                 SYS_ftruncate, SYS_mkdirat,  SYS_fallocate, SYS_getdents64};
    char text[256];
    read_task(task, "syscall", text, sizeof(text));
    char *end = NULL;
    long call = strtol(text, &end, 10);
    for (size_t i = 0; end != text && i < SH_COUNT(calls); i++) {
        if (calls[i] == call)
            return true;
    }
    return false;
}

/* proc(5), stat: the state is what follows the name, which may have anything in it. */
static bool is_kept(pid_t task)
{
    char text[512];
    read_task(task, "stat", text, sizeof(text));
    const char *name_end = strrchr(text, ')');
    if (!name_end || name_end[1] != ' ')
        return false;
    return name_end[2] == 'D' || (name_end[2] == 'S' && is_in_file_call(task));
}

/* Looks once; idle counts the looks in a row at which it was kept. */
static unsigned look(struct sh_watchdog *watchdog, unsigned *seen, unsigned idle)
{
    unsigned alive = atomic_load(&watchdog->alive);
    bool goes_on = alive != *seen;
    *seen = alive;
    if (goes_on || !is_kept(watchdog->watched))
        return 0;
    idle++;
    if (idle == SH_WATCHDOG_TOLD || idle == SH_WATCHDOG_LAST)
        watchdog->kept(idle == SH_WATCHDOG_LAST, watchdog->user);
    return idle;
}

static void *run(void *user)
{
    struct sh_watchdog *watchdog = user;
    unsigned seen = 0, idle = 0;
    struct timespec next;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->quit) {
        clock_gettime(CLOCK_MONOTONIC, &next);
        uint64_t ns = (uint64_t)next.tv_nsec + (uint64_t)watchdog->tick_ms * 1000000;
        next.tv_sec += (time_t)(ns / 1000000000);
        next.tv_nsec = (long)(ns % 1000000000);
        /* waits: for a tick, or the end */
        pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &next);
        if (!watchdog->quit)
            idle = look(watchdog, &seen, idle);
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

static void destroy(struct sh_watchdog *watchdog)
{
    pthread_cond_destroy(&watchdog->changed);
    pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}

enum sh_cause sh_watchdog_new(unsigned tick_ms, void (*kept)(bool last, void *user), void *user,
                              struct sh_watchdog **ret_watchdog)
{
    pthread_condattr_t monotonic;
    struct sh_watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (!watchdog)
        return SH_ENV_NO_MEMORY;
    watchdog->tick_ms = tick_ms;
    watchdog->watched = gettid();
    watchdog->kept = kept;
    watchdog->user = user;
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!sh_thread_start(&watchdog->thread, run, watchdog)) {
        destroy(watchdog);
        return SH_ENV_NO_MEMORY;
    }
    *ret_watchdog = watchdog;
    return SH_OK;
}

void sh_watchdog_alive(struct sh_watchdog *watchdog)
{
    atomic_fetch_add(&watchdog->alive, 1);
}

void sh_watchdog_free(struct sh_watchdog *watchdog)
{
    if (!watchdog)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->quit = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
    /* waits: for a look, which does not wait itself */
    pthread_join(watchdog->thread, NULL);
    destroy(watchdog);
}
