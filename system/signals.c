/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum sh_cause sh_signals_open(int *ret_fd, sigset_t *ret_before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return sh_cause_of_errno(errno, "signalfd");
    pthread_sigmask(SIG_BLOCK, &set, ret_before);
    *ret_fd = fd;
    return SH_OK;
}

bool sh_signals_take(int fd)
{
    struct signalfd_siginfo info;
    bool came = false;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        came = true;
    return came;
}
