/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A preload library: Bluetooth sockets exist in the initial network namespace only, and the second device of the lab lives in
 * another one for its Wi-Fi. socket(AF_BLUETOOTH, ...) is made where process 1 is. Needs CAP_SYS_ADMIN. Only the
 * calling thread changes its namespace, and only for that call.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int plain_socket(int domain, int type, int protocol)
{
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int socket(int domain, int type, int protocol)
{
    if (domain != AF_BLUETOOTH)
        return plain_socket(domain, type, protocol);
    int fd = -1;
    int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
    if (here >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0) {
        fd = plain_socket(domain, type, protocol);
        int error = errno;
        if (setns(here, CLONE_NEWNET) != 0)
            _exit(127); /* nothing that follows would be where it thinks it is */
        errno = error;
    }
    int error = errno;
    if (here >= 0)
        close(here);
    if (there >= 0)
        close(there);
    errno = error;
    return fd;
}
