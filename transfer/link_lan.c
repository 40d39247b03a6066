/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/link.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"
#include "transfer/lan_internal.h"

#define ACCEPT_MAX   16  /* an event */
#define ACCEPT_PAUSE 200 /* ms, when there are no descriptors: the listener stays readable */
#define QUICK_MS     1000

struct dial {
    struct lan *lan;
    struct dial *next;
    unsigned attempt;
    int fd; /* -1: failed at once, or goes into a black hole */
    enum sh_cause cause;
    sh_ms started;
    struct event *event;
};

struct lan {
    struct sh_link link;
    struct sh_lan_owner owner;
    char iface[IF_NAMESIZE];
    bool ipv4_only;
    int listener;
    struct event *acceptable, *resume;
    struct dial *dials;
    struct sh_lan_address addresses[SH_LAN_ADDRESSES];
    ProtobufCBinaryData offered[SH_LAN_ADDRESSES];
    Simhop__LinkOffer offer;
};

static struct sh_shape shape_now(const struct lan *lan)
{
    return lan->owner.shape ? lan->owner.shape(lan->owner.shape_user) : (struct sh_shape){0};
}

static bool bind_to_iface(const struct lan *lan, int fd)
{
    return lan->iface[0] == '\0' || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, lan->iface,
                                               (socklen_t)strlen(lan->iface) + 1) == 0;
}

/* ---- listening ---- */

static int new_listener(struct lan *lan, bool ipv4)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    int off = 0;
    sh_autoclose int fd =
        socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !bind_to_iface(lan, fd))
        return -1;
    if (!ipv4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
        return -1;
    const struct sockaddr *address = ipv4 ? (const void *)&in : (const void *)&in6;
    if (bind(fd, address, ipv4 ? sizeof(in) : sizeof(in6)) < 0 || listen(fd, 128) < 0)
        return -1;
    int result = fd;
    fd = -1;
    return result;
}

static bool port_of(int fd, uint32_t *ret_port)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } name = {0};
    socklen_t n = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name.any, &n) < 0)
        return false;
    *ret_port = ntohs(name.any.ss_family == AF_INET ? name.in.sin_port : name.in6.sin6_port);
    return true;
}

static void take_connection(struct lan *lan, int fd)
{
    if (lan->owner.accepted >= SH_LAN_STREAMS || shape_now(lan).cut) {
        close(fd);
        return;
    }
    sh_lan_socket_options(fd);
    struct sh_lan_stream *stream = sh_lan_stream_new(&lan->owner, fd, true);
    if (stream)
        lan->link.ops->accepted(&lan->link, sh_lan_stream_base(stream), lan->link.user);
}

static void on_acceptable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct lan *lan = user;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        int taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (taken >= 0) {
            take_connection(lan, taken);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            const struct timeval pause = {.tv_usec = ACCEPT_PAUSE * 1000};
            sh_log("lan: accept: %s, paused", strerror(errno));
            event_del(lan->acceptable);
            event_add(lan->resume, &pause);
            return;
        }
        if (errno == EAGAIN)
            return;
    }
}

static void on_resume(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    event_add(((struct lan *)user)->acceptable, NULL);
}

static enum sh_cause open_listener(struct lan *lan)
{
    lan->listener = new_listener(lan, false);
    lan->ipv4_only = lan->listener < 0;
    if (lan->ipv4_only)
        lan->listener = new_listener(lan, true);
    if (lan->listener < 0 && (errno == EACCES || errno == EPERM))
        return sh_fail(SH_ENV_PERMISSION, "listen: %s", strerror(errno));
    if (lan->listener < 0)
        return sh_fail(SH_LINK_NONE, "listen: %s", strerror(errno));
    lan->acceptable =
        event_new(lan->owner.base, lan->listener, EV_READ | EV_PERSIST, on_acceptable, lan);
    lan->resume = event_new(lan->owner.base, -1, 0, on_resume, lan);
    if (!lan->acceptable || !lan->resume || event_add(lan->acceptable, NULL) < 0)
        return SH_ENV_NO_MEMORY;
    return SH_OK;
}

static void close_listener(struct lan *lan)
{
    if (lan->acceptable)
        event_free(lan->acceptable);
    if (lan->resume)
        event_free(lan->resume);
    lan->acceptable = lan->resume = NULL;
    sh_closep(&lan->listener);
    lan->listener = -1;
}

static enum sh_cause lan_listen(struct sh_link *link, struct sh_bytes seed SH_UNUSED)
{
    struct lan *lan = (struct lan *)link;
    bool loopback = false;
    uint32_t port = 0;
    enum sh_cause cause = lan->listener >= 0 ? SH_OK : open_listener(lan);
    size_t count = cause == SH_OK ? sh_lan_addresses(lan->iface[0] ? lan->iface : NULL,
                                                     lan->ipv4_only, lan->addresses, &loopback)
                                  : 0;
    if (cause == SH_OK && (count == 0 || !port_of(lan->listener, &port)))
        cause = sh_fail(SH_LINK_NONE, "no interface that is up has an address");
    if (cause != SH_OK) {
        close_listener(lan);
        return cause;
    }
    if (loopback)
        sh_log("lan: no interface but loopback is up, offering that");
    for (size_t i = 0; i < count; i++)
        lan->offered[i] =
            (ProtobufCBinaryData){.data = lan->addresses[i].bytes, .len = lan->addresses[i].len};
    Simhop__LinkOffer offer = SIMHOP__LINK_OFFER__INIT;
    offer.kind = SIMHOP__LINK_KIND__LINK_KIND_LAN;
    offer.addresses = lan->offered;
    offer.n_addresses = count;
    offer.port = port;
    lan->offer = offer;
    link->ops->offered(link, &lan->offer, SH_OK, link->user);
    return SH_OK;
}

static void lan_unlisten(struct sh_link *link)
{
    close_listener((struct lan *)link);
}

/* ---- dialling ---- */

enum sh_cause sh_lan_connect_cause(int error, bool quick)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
        return sh_fail(SH_LINK_REFUSED, "%s", strerror(error));
    case ETIMEDOUT:
        return sh_fail(SH_LINK_TIMEOUT, "%s", strerror(error));
    case EHOSTUNREACH:
        if (quick) /* a router or firewall said so; without an answer the kernel takes seconds */
            return sh_fail(SH_LINK_REFUSED, "%s, said at once", strerror(error));
        return sh_fail(SH_LINK_UNREACHABLE, "%s", strerror(error));
    case ENOMEM:
    case ENOBUFS:
        return sh_fail(SH_ENV_NO_MEMORY, "%s", strerror(error));
    default:
        return sh_fail(SH_LINK_UNREACHABLE, "%s", strerror(error));
    }
}

static void dial_free(struct dial *dial)
{
    for (struct dial **at = &dial->lan->dials; *at; at = &(*at)->next) {
        if (*at == dial) {
            *at = dial->next;
            break;
        }
    }
    if (dial->event)
        event_free(dial->event);
    sh_closep(&dial->fd);
    free(dial);
}

/* Two ends of one socket: a port of the ephemeral range that nobody listens on may be our own. */
static bool is_own(int fd)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC}, b = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof(a), m = sizeof(b);
    return getsockname(fd, (struct sockaddr *)&a, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&b, &m) == 0 && n == m && memcmp(&a, &b, n) == 0;
}

static enum sh_cause dial_result(const struct dial *dial, short what)
{
    int error = 0;
    socklen_t n = sizeof(error);
    if (dial->cause != SH_OK)
        return dial->cause;
    if (what & EV_TIMEOUT)
        return sh_fail(SH_LINK_TIMEOUT, "no answer in %d ms", SH_DIAL_MS);
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        error = errno;
    if (error != 0)
        return sh_lan_connect_cause(error, sh_lan_now() - dial->started < QUICK_MS);
    return is_own(dial->fd) ? SH_LINK_REFUSED : SH_OK;
}

static void on_dialled(evutil_socket_t fd SH_UNUSED, short what, void *user)
{
    struct dial *dial = user;
    struct lan *lan = dial->lan;
    unsigned attempt = dial->attempt;
    enum sh_cause cause = dial_result(dial, what);
    struct sh_lan_stream *stream = NULL;
    if (cause == SH_OK) {
        stream = sh_lan_stream_new(&lan->owner, dial->fd, false);
        dial->fd = -1;
        cause = stream ? SH_OK : SH_ENV_NO_MEMORY;
    }
    dial_free(dial);
    if (stream)
        lan->link.ops->dialled(&lan->link, attempt, sh_lan_stream_base(stream), lan->link.user);
    else
        lan->link.ops->dial_failed(&lan->link, attempt, cause, lan->link.user);
}

static int begin_connect(const struct lan *lan, const struct sh_attempt *attempt, int *ret_error)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(attempt->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(attempt->port)};
    bool ipv4 = attempt->address_len == 4;
    memcpy(ipv4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr, attempt->address,
           attempt->address_len);
    int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_to_iface(lan, fd)) {
        const struct sockaddr *address = ipv4 ? (const void *)&in : (const void *)&in6;
        sh_lan_socket_options(fd);
        if (connect(fd, address, ipv4 ? sizeof(in) : sizeof(in6)) == 0 || errno == EINPROGRESS)
            return fd;
    }
    *ret_error = errno;
    sh_closep(&fd);
    return -1;
}

static void begin_dial(struct dial *dial, const struct sh_attempt *attempt)
{
    struct sh_shape shape = shape_now(dial->lan);
    int error = 0;
    if (attempt->address_len != 4 && attempt->address_len != 16)
        dial->cause =
            sh_fail(SH_LINK_UNREACHABLE, "an address of %zu octets", attempt->address_len);
    else if (shape.cut)
        dial->cause = SH_LINK_REFUSED;
    else if (!shape.blackhole)
        dial->fd = begin_connect(dial->lan, attempt, &error);
    if (error != 0)
        dial->cause = sh_lan_connect_cause(error, false);
}

static enum sh_cause lan_dial(struct sh_link *link, const struct sh_attempt *attempt)
{
    static const struct timeval limit = {.tv_sec = SH_DIAL_MS / 1000,
                                         .tv_usec = SH_DIAL_MS % 1000 * 1000};
    struct lan *lan = (struct lan *)link;
    struct dial *dial = calloc(1, sizeof(*dial));
    if (!dial)
        return SH_ENV_NO_MEMORY;
    *dial = (struct dial){
        .lan = lan, .next = lan->dials, .attempt = attempt->id, .fd = -1, .started = sh_lan_now()};
    lan->dials = dial;
    begin_dial(dial, attempt);
    dial->event =
        event_new(lan->owner.base, dial->fd, dial->fd >= 0 ? EV_WRITE : 0, on_dialled, dial);
    if (!dial->event || event_add(dial->event, &limit) < 0) {
        dial_free(dial);
        return SH_ENV_NO_MEMORY;
    }
    if (dial->cause != SH_OK)
        event_active(dial->event, EV_WRITE, 1);
    return SH_OK;
}

static void lan_cancel(struct sh_link *link, unsigned attempt)
{
    for (struct dial *dial = ((struct lan *)link)->dials; dial; dial = dial->next) {
        if (dial->attempt == attempt) {
            dial_free(dial);
            return;
        }
    }
}

/* The network is not ours to leave. */
static void lan_rest(struct sh_link *link SH_UNUSED) {}

static void lan_free(struct sh_link *link)
{
    struct lan *lan = (struct lan *)link;
    while (lan->dials)
        dial_free(lan->dials);
    close_listener(lan);
    sh_lan_streams_detach(&lan->owner);
    free(lan);
}

enum sh_cause sh_link_lan_new(struct event_base *base, const char *iface, sh_shape_fn shape,
                              void *shape_user, const struct sh_link_ops *ops, void *user,
                              struct sh_link **ret_link)
{
    static const struct sh_link_driver driver = {.kind = SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                                 .name = "lan",
                                                 .listen = lan_listen,
                                                 .unlisten = lan_unlisten,
                                                 .dial = lan_dial,
                                                 .cancel = lan_cancel,
                                                 .rest = lan_rest,
                                                 .free = lan_free};
    struct lan *lan = calloc(1, sizeof(*lan));
    if (!lan)
        return SH_ENV_NO_MEMORY;
    if (iface && !sh_strcopy(lan->iface, sizeof(lan->iface), iface)) {
        free(lan);
        return sh_fail(SH_LINK_NONE, "%s: not the name of an interface", iface);
    }
    lan->link = (struct sh_link){.driver = &driver, .ops = ops, .user = user};
    lan->owner = (struct sh_lan_owner){.base = base, .shape = shape, .shape_user = shape_user};
    lan->listener = -1;
    *ret_link = &lan->link;
    return SH_OK;
}
