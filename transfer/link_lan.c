/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/link.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "transfer/netif.h"
#include "transfer/tcp.h"

#define SETTLE_MS 500 /* addresses come in groups, and are tried for being double first */

struct lan {
    struct sh_link link;
    struct sh_tcp_owner owner;
    char iface[IF_NAMESIZE];
    uint16_t port; /* to be tried first */
    struct sh_tcp_listener *listener;
    struct sh_tcp_dials dials;
    struct sh_tcp_address addresses[SH_LAN_ADDRESSES];
    ProtobufCBinaryData offered[SH_LAN_ADDRESSES];
    size_t address_count;
    Simhop__LinkOffer offer;
    bool wanted; /* listen was called, so it is to be offered whenever that can be */
    struct sh_netif_watch *watch; /* NULL: later changes are not seen */
    struct event *settled;
};

static void on_accepted(struct sh_stream *stream, void *user)
{
    struct lan *lan = user;
    lan->link.ops->accepted(&lan->link, stream, lan->link.user);
}

static void close_listener(struct lan *lan)
{
    sh_tcp_listener_free(lan->listener);
    lan->listener = NULL;
}

static enum sh_cause offer_addresses(struct lan *lan)
{
    bool loopback = false;
    const struct sh_tcp_local local = {.iface = lan->iface, .port = lan->port};
    struct sh_tcp_address old[SH_LAN_ADDRESSES];
    size_t old_count = lan->listener ? lan->address_count : 0;
    memcpy(old, lan->addresses, sizeof(old));
    memset(lan->addresses, 0, sizeof(lan->addresses));
    if (!lan->listener)
        SH_TRY(sh_tcp_listener_new(&lan->owner, &local, on_accepted, lan, &lan->listener));
    size_t count =
        sh_lan_addresses(lan->iface[0] ? lan->iface : NULL,
                         sh_tcp_listener_ipv4_only(lan->listener), lan->addresses, &loopback);
    if (count == 0) {
        close_listener(lan);
        return sh_fail(SH_LINK_NONE, "no interface that is up has an address");
    }
    lan->address_count = count;
    if (count == old_count && memcmp(old, lan->addresses, sizeof(old)) == 0)
        return SH_OK; /* is offered already */
    if (loopback)
        sh_log("lan: no interface but loopback is up, offering that");
    for (size_t i = 0; i < count; i++)
        lan->offered[i] =
            (ProtobufCBinaryData){.data = lan->addresses[i].bytes, .len = lan->addresses[i].len};
    Simhop__LinkOffer offer = SIMHOP__LINK_OFFER__INIT;
    offer.kind = SIMHOP__LINK_KIND__LINK_KIND_LAN;
    offer.addresses = lan->offered;
    offer.n_addresses = count;
    offer.port = sh_tcp_listener_port(lan->listener);
    lan->port = (uint16_t)offer.port; /* also where addresses go and come back */
    lan->offer = offer;
    lan->link.ops->offered(&lan->link, &lan->offer, SH_OK, lan->link.user);
    return SH_OK;
}

static enum sh_cause lan_listen(struct sh_link *link, struct sh_bytes seed SH_UNUSED)
{
    struct lan *lan = (struct lan *)link;
    lan->wanted = true;
    return offer_addresses(lan);
}

static void lan_unlisten(struct sh_link *link)
{
    struct lan *lan = (struct lan *)link;
    lan->wanted = false;
    close_listener(lan);
}

static void on_address(void *user)
{
    static const struct timeval settle = {.tv_usec = SETTLE_MS * 1000};
    struct lan *lan = user;
    event_add(lan->settled, &settle);
}

static void on_settled(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct lan *lan = user;
    const struct sh_link_ops *ops = lan->link.ops;
    if (ops->changed)
        ops->changed(&lan->link, lan->link.user);
    if (!lan->wanted)
        return;
    bool was_offered = lan->listener != NULL;
    enum sh_cause cause = offer_addresses(lan);
    if (cause != SH_OK && was_offered)
        ops->offered(&lan->link, NULL, cause, lan->link.user);
}

static void on_done(unsigned attempt, struct sh_stream *stream, enum sh_cause cause,
                    const struct sh_path_facts *facts, void *user)
{
    struct lan *lan = user;
    if (stream)
        lan->link.ops->dialled(&lan->link, attempt, stream, lan->link.user);
    else
        lan->link.ops->dial_failed(&lan->link, attempt, cause, facts, lan->link.user);
}

static enum sh_cause lan_dial(struct sh_link *link, const struct sh_attempt *attempt)
{
    struct lan *lan = (struct lan *)link;
    const struct sh_tcp_local local = {.iface = lan->iface};
    return sh_tcp_dial(&lan->dials, attempt, &local);
}

static void lan_cancel(struct sh_link *link, unsigned attempt)
{
    sh_tcp_dial_cancel(&((struct lan *)link)->dials, attempt);
}

/* The network is not ours to leave. */
static void lan_rest(struct sh_link *link SH_UNUSED) {}

static bool lan_busy(const struct sh_link *link)
{
    return ((const struct lan *)link)->owner.streams != NULL;
}

static void lan_free(struct sh_link *link)
{
    struct lan *lan = (struct lan *)link;
    sh_tcp_dials_clear(&lan->dials);
    close_listener(lan);
    sh_tcp_streams_detach(&lan->owner);
    sh_netif_watch_free(lan->watch);
    if (lan->settled)
        event_free(lan->settled);
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
                                                 .busy = lan_busy,
                                                 .free = lan_free};
    struct lan *lan = calloc(1, sizeof(*lan));
    if (!lan)
        return SH_ENV_NO_MEMORY;
    if (iface && !sh_strcopy(lan->iface, sizeof(lan->iface), iface)) {
        free(lan);
        return sh_fail(SH_LINK_NONE, "%s: not the name of an interface", iface);
    }
    lan->link = (struct sh_link){.driver = &driver, .ops = ops, .user = user};
    lan->owner = (struct sh_tcp_owner){.base = base, .shape = shape, .shape_user = shape_user};
    lan->dials = (struct sh_tcp_dials){.owner = &lan->owner, .done = on_done, .user = lan};
    lan->settled = event_new(base, -1, 0, on_settled, lan);
    if (!lan->settled || sh_netif_watch_addresses(base, on_address, lan, &lan->watch) != SH_OK)
        sh_log("lan: addresses that change will not be seen");
    *ret_link = &lan->link;
    return SH_OK;
}

void sh_link_lan_prefer(struct sh_link *link, uint16_t port)
{
    ((struct lan *)link)->port = port;
}

void sh_link_lan_admit(struct sh_link *link, unsigned streams)
{
    ((struct lan *)link)->owner.accepted_max = streams;
}
