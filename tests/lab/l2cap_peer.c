/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A peer that means no good, on an anchor's L2CAP channel:
 *   lab_l2cap_peer OWN ANCHOR PSM MODE N         addresses as AA:BB:CC:DD:EE:FF, public
 *
 *   silent N   N channels at once that say nothing, held until the anchor closes them
 *   flood N    N times a channel that is sent random octets, in the largest SDUs that the kernel takes
 *   half N     N times the first half of a greeting, held until the anchor closes it
 *   greet N    N channels at once that greet as they should and say nothing more, held until the anchor closes them
 *   storm N    N times a channel that is closed as soon as it is up
 *
 * Prints a line that says what came of it; 0 if at least one channel was up.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "pairing/handshake.h"
#include "pairing/l2cap_socket.h"
#include "system/clock.h"

#define CHANNELS_MAX 64
#define CONNECT_MS   5000
#define HOLD_MS      25000
#define FLOOD_MS     3000
#define SDU_MAX      65535
#define GREETING_MAX 1024

struct peer {
    struct sh_bdaddr own, anchor;
    uint8_t psm;
    unsigned n;
    unsigned up; /* channels that were */
    int error;   /* why the last of the others was not */
};

/* A channel that is up, or -1. */
static int call(struct peer *peer)
{
    sh_autoclose int fd = -1;
    int error = 0;
    socklen_t size = sizeof(error);
    errno = 0;
    if (sh_l2cap_socket_call(&peer->own, &peer->anchor, peer->psm, &fd) != SH_OK) {
        peer->error = errno;
        return -1;
    }
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    if (poll(&wait, 1, CONNECT_MS) != 1)
        error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error != 0) {
        peer->error = error;
        return -1;
    }
    peer->up++;
    int up = fd;
    fd = -1;
    return up;
}

/* Takes what comes until all are closed by the other side; how many were, at most HOLD_MS. */
static unsigned hold(int *fds, unsigned n)
{
    struct pollfd wait[CHANNELS_MAX];
    unsigned closed = 0;
    sh_ms end = sh_now() + HOLD_MS;
    for (unsigned i = 0; i < n; i++)
        wait[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    while (closed < n && sh_now() < end) {
        if (poll(wait, n, 100) <= 0)
            continue;
        for (unsigned i = 0; i < n; i++) {
            uint8_t sink[4096];
            if (!wait[i].revents || wait[i].fd < 0)
                continue;
            ssize_t got = recv(fds[i], sink, sizeof(sink), MSG_DONTWAIT);
            if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
                continue;
            close(fds[i]);
            wait[i].fd = -1;
            closed++;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (wait[i].fd >= 0)
            close(fds[i]);
    }
    return closed;
}

/* ---- a greeting, by the engine that honest ones use ---- */

struct greeting {
    uint8_t bytes[GREETING_MAX];
    size_t n;
};

static void on_tx(struct sh_bytes frame, void *user)
{
    struct greeting *greeting = user;
    if (frame.n <= sizeof(greeting->bytes) - greeting->n) {
        memcpy(greeting->bytes + greeting->n, frame.p, frame.n);
        greeting->n += frame.n;
    }
}

static void on_phase(enum sh_handshake_phase phase SH_UNUSED, const char *name SH_UNUSED,
                     void *user SH_UNUSED)
{
}

static bool greet(struct greeting *ret_greeting)
{
    static const struct sh_handshake_ops ops = {.tx = on_tx, .phase = on_phase};
    struct sh_handshake *handshake = NULL;
    struct sh_handshake_config config = {
        .role = SH_SECONDARY, .name = "mallory", .level = sh_level_best((double)NAN, (double)NAN)};
    ret_greeting->n = 0;
    if (sh_random(config.device_id, sizeof(config.device_id)) != SH_OK ||
        sh_handshake_new(&config, &ops, ret_greeting, sh_now(), &handshake) != SH_OK)
        return false;
    sh_handshake_free(handshake);
    return ret_greeting->n > 0;
}

/* ---- the modes ---- */

static void many(struct peer *peer, bool greets)
{
    int fds[CHANNELS_MAX];
    unsigned n = 0;
    struct greeting greeting;
    for (unsigned i = 0; i < SH_MIN(peer->n, (unsigned)CHANNELS_MAX); i++) {
        int fd = call(peer);
        if (fd < 0)
            continue;
        if (greets && greet(&greeting) && send(fd, greeting.bytes, greeting.n, MSG_NOSIGNAL) < 0)
            perror("lab_l2cap_peer: send");
        fds[n++] = fd;
    }
    sh_ms from = sh_now();
    printf("%u of %u channels up\n", n, peer->n);
    fflush(stdout);
    unsigned closed = hold(fds, n);
    printf("%u closed by the anchor, the last after %.1f s\n", closed,
           (double)(sh_now() - from) / 1000.0);
}

static void silent(struct peer *peer)
{
    many(peer, false);
}

static void greetings(struct peer *peer)
{
    many(peer, true);
}

static void half(struct peer *peer)
{
    struct greeting greeting;
    for (unsigned i = 0; i < peer->n; i++) {
        int fd = call(peer);
        if (fd < 0 || !greet(&greeting))
            continue;
        sh_ms from = sh_now();
        ssize_t sent = send(fd, greeting.bytes, greeting.n / 2, MSG_NOSIGNAL);
        unsigned closed = hold(&fd, 1);
        printf("%zd of %zu octets, %s after %.1f s\n", sent, greeting.n,
               closed ? "closed by the anchor" : "still open", (double)(sh_now() - from) / 1000.0);
    }
}

/* How many octets left before the channel was closed. */
static size_t pour(int fd, const uint8_t *octets, size_t size)
{
    size_t sent = 0;
    sh_ms end = sh_now() + FLOOD_MS;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    while (sh_now() < end) {
        ssize_t n = send(fd, octets, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            break;
        if (n > 0)
            sent += (size_t)n;
        else
            poll(&wait, 1, 100);
    }
    return sent;
}

static void flood(struct peer *peer)
{
    static uint8_t octets[SDU_MAX];
    size_t sent = 0;
    uint16_t size = 0;
    for (unsigned i = 0; i < peer->n; i++) {
        socklen_t n = sizeof(size);
        sh_autoclose int fd = call(peer);
        if (fd < 0 || getsockopt(fd, SOL_BLUETOOTH, BT_SNDMTU, &size, &n) != 0)
            continue;
        if (sh_random(octets, size) == SH_OK)
            sent += pour(fd, octets, size);
    }
    printf("%u of %u channels up, %zu octets left, in SDUs of %u\n", peer->up, peer->n, sent,
           (unsigned)size);
}

static void storm(struct peer *peer)
{
    sh_ms from = sh_now();
    for (unsigned i = 0; i < peer->n; i++) {
        int fd = call(peer);
        if (fd >= 0)
            close(fd);
    }
    printf("%u of %u channels up and closed in %.1f s\n", peer->up, peer->n,
           (double)(sh_now() - from) / 1000.0);
}

static const struct {
    const char *name;
    void (*run)(struct peer *peer);
} modes[] = {
    {"silent", silent}, {"flood", flood}, {"half", half}, {"greet", greetings}, {"storm", storm},
};

static bool read_address(const char *text, struct sh_bdaddr *ret_address)
{
    char typed[SH_BDADDR_TEXT + 1];
    int n = snprintf(typed, sizeof(typed), "%s/public", text);
    return n > 0 && (size_t)n < sizeof(typed) && sh_bdaddr_read(typed, ret_address);
}

int main(int argc, char **argv)
{
    struct peer peer = {0};
    if (argc != 6 || !read_address(argv[1], &peer.own) || !read_address(argv[2], &peer.anchor)) {
        fprintf(stderr, "usage: lab_l2cap_peer OWN ANCHOR PSM silent|flood|half|greet|storm N\n");
        return 2;
    }
    peer.psm = (uint8_t)strtoul(argv[3], NULL, 0);
    peer.n = (unsigned)strtoul(argv[5], NULL, 10);
    for (size_t i = 0; i < SH_COUNT(modes); i++) {
        if (strcmp(modes[i].name, argv[4]) == 0) {
            modes[i].run(&peer);
            if (peer.error != 0)
                printf("the others: %s\n", strerror(peer.error));
            return peer.up > 0 ? 0 : 1;
        }
    }
    fprintf(stderr, "lab_l2cap_peer: no such mode: %s\n", argv[4]);
    return 2;
}
