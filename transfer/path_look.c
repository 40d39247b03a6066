/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/path_look.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <string.h>

#include "proto/log.h"

#define NETLINK_WAIT ((struct timeval){.tv_sec = 1})

static void sock_freep(struct nl_sock **sock)
{
    nl_socket_free(*sock);
}

static void route_freep(struct rtnl_route **route)
{
    if (*route)
        rtnl_route_put(*route);
}

static void addr_freep(struct nl_addr **addr)
{
    nl_addr_put(*addr);
}

static void cache_freep(struct nl_cache **cache)
{
    if (*cache)
        nl_cache_free(*cache);
}

static void neigh_freep(struct rtnl_neigh **neigh)
{
    if (*neigh)
        rtnl_neigh_put(*neigh);
}

static bool same_network(const uint8_t *a, const uint8_t *b, const uint8_t *mask, size_t n)
{
    bool same = true, any = false;
    for (size_t i = 0; i < n; i++) {
        same = same && ((a[i] ^ b[i]) & mask[i]) == 0;
        any = any || mask[i] != 0;
    }
    return same && any;
}

static bool holds(const struct ifaddrs *at, const struct sh_tcp_address *to)
{
    struct sockaddr_in in, in_mask;
    struct sockaddr_in6 in6, in6_mask;
    int family = to->len == 4 ? AF_INET : AF_INET6;
    if (!at->ifa_addr || !at->ifa_netmask || at->ifa_addr->sa_family != family ||
        !(at->ifa_flags & IFF_UP) || (at->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT)))
        return false;
    if (to->len == 4) {
        memcpy(&in, at->ifa_addr, sizeof(in));
        memcpy(&in_mask, at->ifa_netmask, sizeof(in_mask));
        return same_network((const uint8_t *)&in.sin_addr, to->bytes,
                            (const uint8_t *)&in_mask.sin_addr, to->len);
    }
    memcpy(&in6, at->ifa_addr, sizeof(in6));
    memcpy(&in6_mask, at->ifa_netmask, sizeof(in6_mask));
    return same_network(in6.sin6_addr.s6_addr, to->bytes, in6_mask.sin6_addr.s6_addr, to->len);
}

/* Which interfaces have a network that the address belongs to, and is the route's one of them? */
static enum sh_path_route compare_route(const struct sh_tcp_address *to, unsigned oif)
{
    struct ifaddrs *list = NULL;
    enum sh_path_route route = SH_PATH_ROUTE_UNKNOWN;
    if (getifaddrs(&list) < 0)
        return route;
    for (const struct ifaddrs *at = list; at && route != SH_PATH_ROUTE_OURS; at = at->ifa_next) {
        if (!holds(at, to))
            continue;
        char name[IF_NAMESIZE] = "";
        bool ours = if_nametoindex(at->ifa_name) == oif;
        route = ours ? SH_PATH_ROUTE_OURS : SH_PATH_ROUTE_STOLEN;
        if (!ours)
            sh_log("path: the address is one of %s, its route leaves by %s", at->ifa_name,
                   if_indextoname(oif, name) ? name : "none");
    }
    freeifaddrs(list);
    return route;
}

static enum sh_path_neighbour neighbour_of(struct nl_sock *sock, unsigned ifindex,
                                           struct nl_addr *address)
{
    SH_CLEANUP(cache_freep) struct nl_cache *cache = NULL;
    if (rtnl_neigh_alloc_cache(sock, &cache) < 0)
        return SH_PATH_NEIGHBOUR_UNKNOWN;
    SH_CLEANUP(neigh_freep)
    struct rtnl_neigh *neigh = rtnl_neigh_get(cache, (int)ifindex, address);
    int state = neigh ? rtnl_neigh_get_state(neigh) : 0;
    if (state > 0 && state & (NUD_FAILED | NUD_INCOMPLETE))
        return SH_PATH_NEIGHBOUR_SILENT;
    /* In the other states it answered once, and whether it still would is being found out. */
    return state > 0 && state & NUD_REACHABLE ? SH_PATH_NEIGHBOUR_THERE : SH_PATH_NEIGHBOUR_UNKNOWN;
}

void sh_path_look_way(const struct sh_tcp_address *to, uint32_t bound, struct sh_path_facts *facts)
{
    const struct timeval wait = NETLINK_WAIT;
    SH_CLEANUP(sock_freep) struct nl_sock *sock = nl_socket_alloc();
    SH_CLEANUP(addr_freep)
    struct nl_addr *address = nl_addr_build(to->len == 4 ? AF_INET : AF_INET6, to->bytes, to->len);
    SH_CLEANUP(route_freep) struct rtnl_route *route = NULL;
    if (!sock || !address || nl_connect(sock, NETLINK_ROUTE) < 0 ||
        setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
        return;
    if (bound > 0) { /* leaves by that, whatever the routes are */
        facts->route = SH_PATH_ROUTE_OURS;
        facts->neighbour = neighbour_of(sock, bound, address);
        return;
    }
    if (rtnl_route_lookup(sock, address, &route) < 0)
        return;
    struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);
    if (!hop || rtnl_route_get_type(route) == RTN_LOCAL) /* an address of our own */
        return;
    unsigned oif = (unsigned)rtnl_route_nh_get_ifindex(hop);
    facts->route = compare_route(to, oif);
    if (!rtnl_route_nh_get_gateway(
            hop)) /* of a router it says nothing about the device behind it */
        facts->neighbour = neighbour_of(sock, oif, address);
}
