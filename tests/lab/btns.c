/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A preload library: Bluetooth sockets exist in the initial network namespace only, and the second device of the lab lives in
 * another one for its Wi-Fi. socket(AF_BLUETOOTH, ...) is made where process 1 is. Needs CAP_SYS_ADMIN. Only the
 * calling thread changes its namespace, and only for that call. With LAB_NO_RAW_HCI in the environment nobody is let in to raw
 * HCI, as by a policy of the machine's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>

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

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_hci hci = {.hci_channel = HCI_CHANNEL_CONTROL};
    if (size == sizeof(hci) && address->sa_family == AF_BLUETOOTH && getenv("LAB_NO_RAW_HCI")) {
        memcpy(&hci, address, sizeof(hci));
        if (hci.hci_channel == HCI_CHANNEL_RAW) {
            errno = EPERM;
            return -1;
        }
    }
    return (int)syscall(SYS_bind, fd, address, size);
}
