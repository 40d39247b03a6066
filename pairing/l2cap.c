/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/l2cap.h"

#include <bluetooth/bluetooth.h>
#include <errno.h>
#include <event2/buffer.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/slow.h"

#define SDUS_A_TURN    32
#define ACCEPTS_A_GO   16
#define DRAIN_MS       20 /* between looks at what the kernel has still to send */
#define SDU_MIN        23 /* vol 3 part A section 4.22: the least that a peer may name */
#define ACCEPT_REST_MS 500
#define LOST_MS        150 /* what takes a radio away breaks its connections first and says so then */

enum state {
    CALLING,
    UP,
    OVER, /* `closed` was called, the user has still to close */
    GONE, /* freed when the last handler is left */
};

struct channel {
    struct sh_stream stream;
    struct sh_l2cap *set;
    struct channel *next;
    enum state state;
    bool incoming;
    bool closing;   /* the user closed it, what is queued still goes */
    unsigned looks; /* at a closed one's queue before it is given up */
    int fd;
    size_t sdu; /* of what is sent */
    struct event *readable, *sendable, *timer;
    struct evbuffer *out;
    bool broken; /* nothing can be sent any more */
    bool lost;   /* it broke and the user is told in a moment */
    bool was_high;
};

struct sh_l2cap {
    struct event_base *base;
    const struct sh_l2cap_ops *ops;
    void *user;
    struct event *listening, *reaper;
    int listener;
    unsigned limit;
    struct channel *channels;
    unsigned depth; /* handlers that run now */
    bool freed;
    uint8_t sdu[SH_L2CAP_SDU_IN];
};

static const struct sh_stream_driver driver;

static struct channel *of(struct sh_stream *stream)
{
    return (struct channel *)stream; /* its first member */
}

static void arm(struct event *event, unsigned ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    evtimer_add(event, &tv);
}

/* ---- memory ---- */

static void socket_close(struct channel *channel)
{
    struct event **events[] = {&channel->readable, &channel->sendable, &channel->timer};
    for (size_t i = 0; i < SH_COUNT(events); i++) {
        if (*events[i])
            event_free(*events[i]);
        *events[i] = NULL;
    }
    sh_closep(&channel->fd);
    channel->fd = -1;
}

static void channel_free(struct channel *channel)
{
    socket_close(channel);
    if (channel->out)
        evbuffer_free(channel->out);
    free(channel);
}

static void listener_close(struct sh_l2cap *l2cap)
{
    if (l2cap->listening)
        event_free(l2cap->listening);
    l2cap->listening = NULL;
    sh_closep(&l2cap->listener);
    l2cap->listener = -1;
}

static void release(struct sh_l2cap *l2cap)
{
    while (l2cap->channels) {
        struct channel *channel = l2cap->channels;
        l2cap->channels = channel->next;
        channel_free(channel);
    }
    listener_close(l2cap);
    if (l2cap->reaper)
        event_free(l2cap->reaper);
    free(l2cap);
}

static void enter(struct sh_l2cap *l2cap)
{
    l2cap->depth++;
}

static void leave(struct sh_l2cap *l2cap)
{
    if (--l2cap->depth > 0)
        return;
    if (l2cap->freed) {
        release(l2cap);
        return;
    }
    for (struct channel **place = &l2cap->channels; *place;) {
        struct channel *channel = *place;
        if (channel->state != GONE) {
            place = &channel->next;
            continue;
        }
        *place = channel->next;
        channel_free(channel);
    }
}

static void on_reaper(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_l2cap *l2cap = user;
    enter(l2cap);
    if (l2cap->listening)
        event_add(l2cap->listening, NULL);
    leave(l2cap);
}

/* The channel is gone and nobody is told; its memory goes when the next handler is left. */
static void drop(struct channel *channel)
{
    bool was_up = channel->state == UP;
    channel->state = GONE;
    if (was_up && !channel->set->freed)
        channel->set->ops->ended(&channel->stream, channel->incoming, channel->set->user);
    socket_close(channel);
    if (!channel->set->freed)
        event_active(channel->set->reaper, EV_TIMEOUT, 0);
}

/* From a handler: the channel is over for this cause. */
static void end(struct channel *channel, enum sh_cause cause)
{
    struct sh_l2cap *set = channel->set;
    if (channel->state == CALLING) {
        channel->state = GONE;
        socket_close(channel);
        set->ops->connect_failed(cause, set->user);
        return;
    }
    bool told = channel->closing;
    channel->state = told ? GONE : OVER;
    set->ops->ended(&channel->stream, channel->incoming, set->user);
    socket_close(channel);
    if (!told && !set->freed && channel->state == OVER && channel->stream.ops)
        channel->stream.ops->closed(cause, channel->stream.user);
}

/* ---- what goes out ---- */

/* Octets that the kernel has taken and not yet given to the controller; 0 when it does not say. */
static size_t in_kernel(const struct channel *channel)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(channel->fd, SOL_SOCKET, SO_MEMINFO, info, &size) != 0)
        return 0;
    return info[SK_MEMINFO_WMEM_ALLOC];
}

/* Nothing more goes out. What the peer sent before may still be read; then reading ends the channel. */
static void break_off(struct channel *channel, int error)
{
    sh_log("l2cap: send: %s", strerror(error));
    channel->broken = true;
    shutdown(channel->fd, SHUT_RDWR);
}

/* Gives SDUs to the socket until it takes no more. after_wait: it has just said that it takes some. */
static void push(struct channel *channel, bool after_wait)
{
    for (unsigned i = 0; i < SDUS_A_TURN; i++) {
        size_t n = SH_MIN(evbuffer_get_length(channel->out), channel->sdu);
        if (n == 0)
            return;
        const void *sdu = evbuffer_pullup(channel->out, (ev_ssize_t)n);
        if (!sdu) {
            break_off(channel, ENOMEM);
            return;
        }
        ssize_t sent = send(channel->fd, sdu, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            evbuffer_drain(channel->out, (size_t)sent);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
            break_off(channel, errno);
            return;
        }
        /* The kernel cuts an SDU into packets that all have to fit into the socket's buffer: one that does not
         * though half of it is free may never. */
        if (after_wait && i == 0)
            channel->sdu = SH_MAX(channel->sdu / 2, (size_t)SDU_MIN);
        break;
    }
    event_add(channel->sendable, NULL);
}

static void pump(struct channel *channel, bool after_wait)
{
    if (!channel->broken)
        push(channel, after_wait);
    size_t waits = evbuffer_get_length(channel->out);
    if (channel->closing) {
        if (channel->broken || channel->looks == 0 || (waits == 0 && in_kernel(channel) == 0))
            end(channel, SH_OK);
        return;
    }
    if (!channel->broken && channel->was_high && waits < SH_STREAM_LOW) {
        channel->was_high = false;
        if (channel->stream.ops && channel->stream.ops->writable)
            channel->stream.ops->writable(channel->stream.user);
    }
}

/* ---- up ---- */

/* Bounds what the kernel queues: what is pending stays with us, where it can be seen and moved to another
 * link. Much may wait to be read: kernels as 6.1 lose what does not fit. */
static void size_buffers(struct channel *channel)
{
    const int out = 32 * 1024, in = 1024 * 1024;
    uint16_t mtu = 0;
    socklen_t size = sizeof(mtu);
    if (setsockopt(channel->fd, SOL_SOCKET, SO_SNDBUF, &out, sizeof(out)) != 0 ||
        setsockopt(channel->fd, SOL_SOCKET, SO_RCVBUF, &in, sizeof(in)) != 0)
        sh_log("l2cap: buffers: %s", strerror(errno));
    channel->sdu = SH_L2CAP_SDU_OUT;
    if (getsockopt(channel->fd, SOL_BLUETOOTH, BT_SNDMTU, &mtu, &size) == 0 && mtu >= SDU_MIN)
        channel->sdu = SH_MIN(channel->sdu, (size_t)mtu);
}

static void go_up(struct channel *channel)
{
    struct sh_l2cap *set = channel->set;
    channel->state = UP;
    event_del(channel->timer);
    size_buffers(channel);
    if (event_add(channel->readable, NULL) != 0) {
        end(channel, SH_ENV_NO_MEMORY);
        return;
    }
    sh_log("l2cap: %s, SDUs of %zu", channel->incoming ? "taken" : "connected", channel->sdu);
    set->ops->stream(&channel->stream, channel->incoming, set->user);
    if (!set->freed && channel->state == UP && !channel->stream.ops)
        drop(channel);
}

static void lose(struct channel *channel)
{
    if (channel->closing) {
        end(channel, SH_CONNECT_LOST);
        return;
    }
    channel->broken = channel->lost = true;
    event_del(channel->readable);
    event_del(channel->sendable);
    arm(channel->timer, LOST_MS);
}

static void read_on(struct channel *channel)
{
    struct sh_l2cap *set = channel->set;
    for (unsigned i = 0; i < SDUS_A_TURN && !set->freed && channel->state == UP; i++) {
        ssize_t n =
            recv(channel->fd, set->sdu, sizeof(set->sdu), MSG_DONTWAIT | MSG_TRUNC | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            sh_log("l2cap: %s", n < 0 ? strerror(errno) : "the other side ended it");
            lose(channel);
            return;
        }
        if ((size_t)n > sizeof(set->sdu)) {
            end(channel, sh_fail(SH_CONNECT_LOST, "L2CAP: an SDU of %zd octets", n));
            return;
        }
        if (!channel->closing && channel->stream.ops && channel->stream.ops->rx)
            channel->stream.ops->rx(SH_BYTES(set->sdu, (size_t)n), channel->stream.user);
    }
}

static void on_readable(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("l2cap read");
    struct channel *channel = user;
    struct sh_l2cap *set = channel->set;
    enter(set);
    read_on(channel);
    leave(set);
}

/* ---- calling ---- */

enum sh_cause sh_l2cap_cause(int error)
{
    const char *text = strerror(error);
    switch (error) {
    case ETIMEDOUT:
        return sh_fail(SH_CONNECT_TIMEOUT, "L2CAP connect: %s", text);
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return sh_fail(SH_CONNECT_LOST, "L2CAP connect: %s", text);
    case ENETDOWN:
        return sh_fail(SH_BLUETOOTH_OFF, "L2CAP connect: %s", text);
    default: /* ECONNREFUSED: nobody listens on that PSM; EHOSTDOWN, EHOSTUNREACH, EBUSY, ... */
        return sh_fail(SH_CONNECT_FAILED, "L2CAP connect: %s", text);
    }
}

static void called(struct channel *channel)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error == 0)
        go_up(channel);
    else
        end(channel, sh_l2cap_cause(error));
}

static void on_sendable(evutil_socket_t fd SH_UNUSED, short what, void *user)
{
    SH_SLOW("l2cap write");
    struct channel *channel = user;
    struct sh_l2cap *set = channel->set;
    enter(set);
    if (channel->state == CALLING)
        called(channel);
    else if (channel->state == UP)
        pump(channel, (what & EV_WRITE) != 0);
    leave(set);
}

/* Connecting takes too long; or the user closed it and the kernel's queue is looked at again. */
static void on_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("l2cap timer");
    struct channel *channel = user;
    struct sh_l2cap *set = channel->set;
    enter(set);
    if (channel->state == CALLING) {
        end(channel, sh_fail(SH_CONNECT_TIMEOUT, "L2CAP connect: no answer"));
    } else if (channel->lost) {
        end(channel, SH_CONNECT_LOST);
    } else if (channel->state == UP && channel->closing) {
        channel->looks--;
        pump(channel, false);
        if (channel->state == UP)
            arm(channel->timer, DRAIN_MS);
    }
    leave(set);
}

static struct channel *channel_new(struct sh_l2cap *l2cap, int fd, bool incoming)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel) {
        close(fd);
        return NULL;
    }
    *channel = (struct channel){.set = l2cap, .fd = fd, .incoming = incoming};
    channel->stream.driver = &driver;
    channel->out = evbuffer_new();
    channel->readable = event_new(l2cap->base, fd, EV_READ | EV_PERSIST, on_readable, channel);
    channel->sendable = event_new(l2cap->base, fd, EV_WRITE, on_sendable, channel);
    channel->timer = evtimer_new(l2cap->base, on_timer, channel);
    if (!channel->out || !channel->readable || !channel->sendable || !channel->timer) {
        channel_free(channel);
        return NULL;
    }
    channel->next = l2cap->channels;
    l2cap->channels = channel;
    return channel;
}

enum sh_cause sh_l2cap_call(struct sh_l2cap *l2cap, int fd, unsigned limit_ms)
{
    sh_l2cap_call_stop(l2cap);
    struct channel *channel = channel_new(l2cap, fd, false);
    if (!channel)
        return SH_ENV_NO_MEMORY;
    arm(channel->timer, limit_ms);
    if (event_add(channel->sendable, NULL) != 0) {
        drop(channel);
        return SH_ENV_NO_MEMORY;
    }
    return SH_OK;
}

void sh_l2cap_call_stop(struct sh_l2cap *l2cap)
{
    for (struct channel *channel = l2cap->channels; channel; channel = channel->next) {
        if (channel->state == CALLING)
            drop(channel);
    }
}

/* ---- listening ---- */

static unsigned incoming_up(const struct sh_l2cap *l2cap)
{
    unsigned up = 0;
    for (const struct channel *channel = l2cap->channels; channel; channel = channel->next)
        up += channel->incoming && channel->state == UP;
    return up;
}

static void on_listening(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    SH_SLOW("l2cap accept");
    struct sh_l2cap *l2cap = user;
    enter(l2cap);
    for (unsigned i = 0; i < ACCEPTS_A_GO && !l2cap->freed && l2cap->listener == fd; i++) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            /* Out of descriptors or memory: it stays readable, so rest before the next look. */
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                sh_log("l2cap: accept: %s", strerror(errno));
                event_del(l2cap->listening);
                arm(l2cap->reaper, ACCEPT_REST_MS);
            }
            break;
        }
        if (incoming_up(l2cap) >= l2cap->limit) {
            sh_log("l2cap: a connection too many");
            close(accepted);
            continue;
        }
        struct channel *channel = channel_new(l2cap, accepted, true);
        if (channel)
            go_up(channel);
    }
    leave(l2cap);
}

enum sh_cause sh_l2cap_listen(struct sh_l2cap *l2cap, int fd, unsigned limit)
{
    listener_close(l2cap);
    l2cap->listener = fd;
    l2cap->limit = limit;
    l2cap->listening = event_new(l2cap->base, fd, EV_READ | EV_PERSIST, on_listening, l2cap);
    if (!l2cap->listening || event_add(l2cap->listening, NULL) != 0) {
        listener_close(l2cap);
        return SH_ENV_NO_MEMORY;
    }
    return SH_OK;
}

void sh_l2cap_listen_stop(struct sh_l2cap *l2cap)
{
    listener_close(l2cap);
}

/* ---- the set ---- */

enum sh_cause sh_l2cap_new(struct event_base *base, const struct sh_l2cap_ops *ops, void *user,
                           struct sh_l2cap **ret_l2cap)
{
    struct sh_l2cap *l2cap = calloc(1, sizeof(*l2cap));
    if (!l2cap)
        return SH_ENV_NO_MEMORY;
    l2cap->base = base;
    l2cap->ops = ops;
    l2cap->user = user;
    l2cap->listener = -1;
    l2cap->reaper = evtimer_new(base, on_reaper, l2cap);
    if (!l2cap->reaper) {
        release(l2cap);
        return SH_ENV_NO_MEMORY;
    }
    *ret_l2cap = l2cap;
    return SH_OK;
}

void sh_l2cap_free(struct sh_l2cap *l2cap)
{
    if (!l2cap)
        return;
    enter(l2cap);
    l2cap->freed = true;
    for (struct channel *channel = l2cap->channels; channel; channel = channel->next) {
        if (channel->state == UP && channel->closing)
            push(channel, false);
        drop(channel);
    }
    listener_close(l2cap);
    leave(l2cap);
}

int sh_l2cap_fd(const struct sh_stream *stream)
{
    return ((const struct channel *)stream)->fd;
}

size_t sh_l2cap_up(const struct sh_l2cap *l2cap)
{
    size_t up = 0;
    for (const struct channel *channel = l2cap->channels; channel; channel = channel->next)
        up += channel->state == UP;
    return up;
}

/* ---- the driver ---- */

static void stream_send(struct sh_stream *stream, struct sh_bytes bytes)
{
    struct channel *channel = of(stream);
    if (channel->state != UP || channel->closing || channel->broken || bytes.n == 0)
        return;
    if (evbuffer_add(channel->out, bytes.p, bytes.n) != 0) {
        /* A stream with a hole in it is worse than none. */
        sh_log("l2cap: no memory to send");
        break_off(channel, ENOMEM);
        return;
    }
    if (evbuffer_get_length(channel->out) >= SH_STREAM_LOW)
        channel->was_high = true;
    event_active(channel->sendable, EV_TIMEOUT, 0);
}

static size_t stream_pending(const struct sh_stream *stream)
{
    const struct channel *channel = (const struct channel *)stream;
    return channel->state == UP ? evbuffer_get_length(channel->out) : 0;
}

static void stream_close(struct sh_stream *stream)
{
    struct channel *channel = of(stream);
    if (channel->closing)
        return;
    channel->closing = true;
    channel->looks = SH_L2CAP_CLOSE_MS / DRAIN_MS;
    if (channel->state == UP)
        arm(channel->timer, 0);
    else
        drop(channel);
}

static const struct sh_stream_driver driver = {
    .send = stream_send,
    .pending = stream_pending,
    .close = stream_close,
};
