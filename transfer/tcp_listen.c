/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"
#include "transfer/tcp.h"

#define ACCEPT_MAX   16   /* an event */
#define ACCEPT_PAUSE 200  /* ms, when there are no descriptors: the listener stays readable */
#define BACKLOG      1024 /* who finds it full tries again after a second */

struct sh_tcp_listener {
    struct sh_tcp_owner *owner;
    void (*accepted)(struct sh_stream *stream, void *user);
    void *user;
    int fd;
    uint32_t port;
    bool ipv4_only;
    struct event *acceptable, *resume;
};

static bool bind_address(int fd, const struct sh_tcp_local *local, bool ipv4)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(local->port)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(local->port), .sin6_scope_id = local->ifindex};
    if (local->address.len == sizeof(in.sin_addr))
        memcpy(&in.sin_addr, local->address.bytes, sizeof(in.sin_addr));
    if (local->address.len == sizeof(in6.sin6_addr))
        memcpy(&in6.sin6_addr, local->address.bytes, sizeof(in6.sin6_addr));
    const struct sockaddr *address = ipv4 ? (const void *)&in : (const void *)&in6;
    return bind(fd, address, ipv4 ? sizeof(in) : sizeof(in6)) == 0;
}

int sh_tcp_socket(const struct sh_tcp_local *local, bool ipv4)
{
    int both = local->address.len > 0;
    sh_autoclose int fd =
        socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (local->iface && local->iface[0] &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, local->iface,
                   (socklen_t)strlen(local->iface) + 1) < 0)
        return -1;
    if (!ipv4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof(both)) < 0)
        return -1;
    if (local->address.len > 0 && !bind_address(fd, local, ipv4))
        return -1;
    int result = fd;
    fd = -1;
    return result;
}

/* Connections of the one before us may still linger at its port: if all of them and we have SO_REUSEADDR they do not keep it; a
 * listener does (socket(7)). */
static int open_at(const struct sh_tcp_local *local, bool ipv4)
{
    int on = 1;
    sh_autoclose int fd = sh_tcp_socket(local, ipv4);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (local->address.len == 0 && !bind_address(fd, local, ipv4)) || listen(fd, BACKLOG) < 0)
        return -1;
    int result = fd;
    fd = -1;
    return result;
}

static int open_listener(const struct sh_tcp_local *local, bool ipv4)
{
    struct sh_tcp_local any = *local;
    int fd = open_at(local, ipv4);
    if (fd >= 0 || local->port == 0)
        return fd;
    any.port = 0;
    return open_at(&any, ipv4);
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

static void take_connection(struct sh_tcp_listener *l, int fd)
{
    unsigned most = l->owner->accepted_max ? l->owner->accepted_max : SH_LAN_STREAMS;
    if (l->owner->accepted >= most || sh_tcp_shape_now(l->owner).cut) {
        close(fd);
        return;
    }
    sh_tcp_socket_options(fd);
    struct sh_tcp_stream *stream = sh_tcp_stream_new(l->owner, fd, true);
    if (stream)
        l->accepted(sh_tcp_stream_base(stream), l->user);
}

static void on_acceptable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct sh_tcp_listener *l = user;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        int taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (taken >= 0) {
            take_connection(l, taken);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            const struct timeval pause = {.tv_usec = ACCEPT_PAUSE * 1000};
            sh_log("tcp: accept: %s, paused", strerror(errno));
            event_del(l->acceptable);
            event_add(l->resume, &pause);
            return;
        }
        if (errno == EAGAIN)
            return;
    }
}

static void on_resume(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    event_add(((struct sh_tcp_listener *)user)->acceptable, NULL);
}

static enum sh_cause open_any(struct sh_tcp_listener *l, const struct sh_tcp_local *local)
{
    if (local->address.len != 4)
        l->fd = open_listener(local, false);
    l->ipv4_only = l->fd < 0;
    if (l->ipv4_only && local->address.len != 16)
        l->fd = open_listener(local, true);
    if (l->fd < 0 && (errno == EACCES || errno == EPERM))
        return sh_fail(SH_ENV_PERMISSION, "listen: %s", strerror(errno));
    if (l->fd < 0)
        return sh_fail(SH_LINK_NONE, "listen: %s", strerror(errno));
    if (!port_of(l->fd, &l->port))
        return sh_fail(SH_LINK_NONE, "listen: no port");
    l->acceptable = event_new(l->owner->base, l->fd, EV_READ | EV_PERSIST, on_acceptable, l);
    l->resume = event_new(l->owner->base, -1, 0, on_resume, l);
    if (!l->acceptable || !l->resume || event_add(l->acceptable, NULL) < 0)
        return SH_ENV_NO_MEMORY;
    return SH_OK;
}

enum sh_cause sh_tcp_listener_new(struct sh_tcp_owner *owner, const struct sh_tcp_local *local,
                                  void (*accepted)(struct sh_stream *stream, void *user),
                                  void *user, struct sh_tcp_listener **ret_listener)
{
    struct sh_tcp_listener *l = calloc(1, sizeof(*l));
    if (!l)
        return SH_ENV_NO_MEMORY;
    *l = (struct sh_tcp_listener){.owner = owner, .accepted = accepted, .user = user, .fd = -1};
    enum sh_cause cause = open_any(l, local);
    if (cause != SH_OK) {
        sh_tcp_listener_free(l);
        return cause;
    }
    *ret_listener = l;
    return SH_OK;
}

void sh_tcp_listener_free(struct sh_tcp_listener *l)
{
    if (!l)
        return;
    if (l->acceptable)
        event_free(l->acceptable);
    if (l->resume)
        event_free(l->resume);
    sh_closep(&l->fd);
    free(l);
}

uint32_t sh_tcp_listener_port(const struct sh_tcp_listener *l)
{
    return l->port;
}

bool sh_tcp_listener_ipv4_only(const struct sh_tcp_listener *l)
{
    return l->ipv4_only;
}
