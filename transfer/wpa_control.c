/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wpa_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "transfer/wpa_reply.h"

#define WAITING  16
#define RETRY_MS 20 /* its queue of datagrams is full */
#define READ_MAX 16 /* datagrams an event */

struct request {
    char command[SH_WPA_COMMAND];
    sh_wpa_answer_fn answered;
    void *user;
};

struct sh_wpa_control {
    const struct sh_wpa_control_ops *ops;
    void *user;
    int fd;
    struct event *readable, *timer, *lost;
    struct request requests[WAITING]; /* a ring; the first is the one on its way */
    unsigned first, count;
    bool sent, attached;
    bool *freed; /* set by free inside a callback */
    enum sh_cause cause;
};

static void arm(struct event *event, unsigned ms)
{
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    event_add(event, &after);
}

static enum sh_cause cause_of(int error, const char *path)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return sh_fail(SH_WIFI_PERMISSION, "%s: %s", path, strerror(error));
    case ENOMEM:
        return SH_ENV_NO_MEMORY;
    default:
        return sh_fail(SH_WIFI_NO_SUPPLICANT, "%s: %s", path, strerror(error));
    }
}

/* Nothing more is sent or heard; the user is told from the loop. */
static void lose(struct sh_wpa_control *c, enum sh_cause cause)
{
    if (c->cause != SH_OK)
        return;
    c->cause = cause;
    event_del(c->readable);
    event_del(c->timer);
    event_active(c->lost, EV_TIMEOUT, 1);
}

static void on_lost(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wpa lost");
    struct sh_wpa_control *c = user;
    c->ops->lost(c->cause, c->user);
}

/* ---- Sending ---- */

static void send_next(struct sh_wpa_control *c)
{
    struct request *request = &c->requests[c->first];
    if (c->cause != SH_OK || c->count == 0 || c->sent)
        return;
    if (send(c->fd, request->command, strlen(request->command), MSG_NOSIGNAL) >= 0) {
        sh_wipe(request->command, sizeof(request->command));
        c->sent = true;
        arm(c->timer, SH_WPA_ANSWER_MS);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
        arm(c->timer, RETRY_MS);
    } else {
        lose(c, cause_of(errno, "wpa_supplicant"));
    }
}

static void on_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wpa timer");
    struct sh_wpa_control *c = user;
    if (c->sent)
        lose(c, sh_fail(SH_WIFI_NO_SUPPLICANT, "wpa_supplicant did not answer in %d ms",
                        SH_WPA_ANSWER_MS));
    else
        send_next(c);
}

void sh_wpa_control_ask(struct sh_wpa_control *c, const char *command, sh_wpa_answer_fn answered,
                        void *user)
{
    struct request *request = &c->requests[(c->first + c->count) % WAITING];
    if (c->count == WAITING || !sh_strcopy(request->command, sizeof(request->command), command)) {
        lose(c, sh_fail(SH_INTERNAL_BUG, "wpa_supplicant: too much is asked of it"));
        return;
    }
    request->answered = answered;
    request->user = user;
    c->count++;
    send_next(c);
}

bool sh_wpa_control_say(struct sh_wpa_control *c, const char *command)
{
    if (send(c->fd, command, strlen(command), MSG_NOSIGNAL) >= 0)
        return true;
    int error = errno;
    sh_log("wpa: a last word could not be sent: %s", strerror(error));
    return error != EAGAIN && error != ENOBUFS;
}

/* ---- Hearing ---- */

static void take(struct sh_wpa_control *c, struct sh_bytes datagram)
{
    if (sh_wpa_is_event(datagram)) {
        c->ops->event(datagram, c->user);
        return;
    }
    if (!c->sent)
        return; /* nobody asked */
    struct request request = c->requests[c->first];
    c->first = (c->first + 1) % WAITING;
    c->count--;
    c->sent = false;
    event_del(c->timer);
    send_next(c);
    if (request.answered)
        request.answered(datagram, request.user);
}

static void on_readable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    SH_SLOW("wpa readable");
    struct sh_wpa_control *c = user;
    bool freed = false;
    uint8_t buffer[SH_WPA_DATAGRAM];
    c->freed = &freed;
    for (unsigned i = 0; i < READ_MAX && !freed && c->cause == SH_OK; i++) {
        /* waits: the socket is non-blocking */
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        if (n >= 0)
            take(c, SH_BYTES(buffer, (size_t)n));
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            lose(c, cause_of(errno, "wpa_supplicant"));
    }
    if (!freed)
        c->freed = NULL;
    sh_wipe(buffer, sizeof(buffer)); /* P2P-GROUP-STARTED has the passphrase */
}

/* ---- Life ---- */

static int open_socket(const char *path)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX}, remote = {.sun_family = AF_UNIX};
    if (!sh_strcopy(remote.sun_path, sizeof(remote.sun_path), path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    sh_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* unix(7): bind with the family alone takes a free abstract name. */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&local, sizeof(local.sun_family)) < 0 ||
        connect(fd, (const struct sockaddr *)&remote, sizeof(remote)) < 0)
        return -1;
    int result = fd;
    fd = -1;
    return result;
}

static void on_attached(struct sh_bytes reply, void *user)
{
    struct sh_wpa_control *c = user;
    c->attached = sh_wpa_is_ok(reply);
    if (!c->attached)
        lose(c, sh_fail(SH_WIFI_NO_SUPPLICANT, "wpa_supplicant tells no events"));
}

enum sh_cause sh_wpa_control_open(struct event_base *base, const char *path, bool attach,
                                  const struct sh_wpa_control_ops *ops, void *user,
                                  struct sh_wpa_control **ret_control)
{
    struct sh_wpa_control *c = calloc(1, sizeof(*c));
    if (!c)
        return SH_ENV_NO_MEMORY;
    *c = (struct sh_wpa_control){.ops = ops, .user = user, .cause = SH_OK};
    c->fd = open_socket(path);
    if (c->fd < 0) {
        enum sh_cause cause = cause_of(errno, path);
        sh_wpa_control_free(c);
        return cause;
    }
    c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
    c->timer = event_new(base, -1, 0, on_timer, c);
    c->lost = event_new(base, -1, 0, on_lost, c);
    if (!c->readable || !c->timer || !c->lost || event_add(c->readable, NULL) < 0) {
        sh_wpa_control_free(c);
        return SH_ENV_NO_MEMORY;
    }
    if (attach)
        sh_wpa_control_ask(c, "ATTACH", on_attached, c);
    *ret_control = c;
    return SH_OK;
}

void sh_wpa_control_free(struct sh_wpa_control *c)
{
    if (!c)
        return;
    if (c->freed)
        *c->freed = true;
    if (c->attached && c->cause == SH_OK)
        (void)sh_wpa_control_say(c, "DETACH");
    struct event *events[] = {c->readable, c->timer, c->lost};
    for (size_t i = 0; i < SH_COUNT(events); i++) {
        if (events[i])
            event_free(events[i]);
    }
    sh_closep(&c->fd);
    sh_wipe(c->requests, sizeof(c->requests));
    free(c);
}
