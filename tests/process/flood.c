/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections that say nothing, or hardly anything, for flood.sh.
 *   flood silent AIR NAME COUNT HELD      COUNT connections to NAME.l2cap, the latest HELD of them kept open
 *   flood greeted AIR NAME COUNT HELD     the same, each with the air's greeting first
 *   flood hold AIR NAME COUNT HELD        the same, and those that are held at the end stay for a while
 *   flood slow AIR NAME                   one that greets, then sends an octet a second; prints the seconds until it was dropped
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX   512
#define SLOW_LIMIT 120 /* seconds */
#define HOLD_LIMIT 30  /* seconds */
#define TRIES      500

static int dir = -1;

/* A full queue of the listener is waited for: each connection shall count. */
static int dial(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s.l2cap", dir,
                     name);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -1;
    for (int i = 0; i < TRIES; i++) {
        const struct timespec pause = {.tv_nsec = 10000000};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -1;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        int error = errno;
        close(fd);
        if (error != EAGAIN)
            return -1;
        nanosleep(&pause, NULL);
    }
    return -1;
}

/* See pairing/sim_packet.h. */
static int greet(int fd)
{
    static const char greeting[] = {'s', 'C', 1, (char)0x80, 'f', 'l', 'o', 'o', 'd'};
    return send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL) == (ssize_t)sizeof(greeting) ? 0 : -1;
}

static int flood(const char *name, int greeting, int count, int held)
{
    int fds[HELD_MAX];
    for (int i = 0; i < HELD_MAX; i++)
        fds[i] = -1;
    for (int i = 0; i < count; i++) {
        int *place = &fds[i % held];
        if (*place >= 0)
            close(*place);
        *place = dial(name);
        if (*place < 0) {
            fprintf(stderr, "flood: connection %d: %s\n", i, strerror(errno));
            return 1;
        }
        if (greeting)
            (void)greet(*place); /* it may have been dropped already */
    }
    printf("%d\n", count);
    (void)fflush(stdout);
    return 0;
}

static double seconds(void)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The octets are those of a Hello's frame that never ends. */
static int slow(const char *name)
{
    static const char octets[] = {1, 0, 2, 0};
    double start = seconds();
    int fd = dial(name);
    if (fd < 0 || greet(fd) != 0)
        return 1;
    for (size_t i = 0; seconds() - start < SLOW_LIMIT; i++) {
        char octet = i < sizeof(octets) ? octets[i] : 0, in[64];
        double until = seconds() + 1.0;
        if (send(fd, &octet, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
            break;
        for (double left = 1.0; left > 0; left = until - seconds()) {
            struct pollfd one = {.fd = fd, .events = POLLIN};
            if (poll(&one, 1, (int)(left * 1000) + 1) == 1 && recv(fd, in, sizeof(in), 0) <= 0) {
                printf("%.1f\n", seconds() - start);
                return 0;
            }
        }
    }
    printf("%.1f\n", seconds() - start);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return 1;
    if (strcmp(argv[1], "slow") == 0)
        return slow(argv[3]);
    int hold = strcmp(argv[1], "hold") == 0;
    int greeting = hold || strcmp(argv[1], "greeted") == 0;
    int count = argc == 6 ? (int)strtol(argv[4], NULL, 10) : 0;
    int held = argc == 6 ? (int)strtol(argv[5], NULL, 10) : 0;
    if (count < 1 || held < 1 || held > HELD_MAX || (!greeting && strcmp(argv[1], "silent") != 0))
        return 2;
    int status = flood(argv[3], greeting, count, held);
    if (hold && status == 0)
        (void)poll(NULL, 0, HOLD_LIMIT * 1000);
    return status;
}
