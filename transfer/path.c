/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/path.h"

#include <errno.h>

/* Octets that are lost for good only if they filled a segment: what is smaller passes any network (RFC 791: 576, and its headers). */
#define SMALL_SEGMENT 536

static bool gone_silent(const struct sh_path_facts *facts)
{
    return facts->error == 0 || facts->error == ETIMEDOUT;
}

/* Silence in answer to a SYN. */
static enum sh_cause judge_silence(const struct sh_path_facts *facts, enum sh_cause otherwise)
{
    if (facts->neighbour == SH_PATH_NEIGHBOUR_SILENT)
        return SH_LINK_OUT_OF_REACH;
    if (facts->view && !facts->listening)
        return SH_LINK_NOT_LISTENING;
    if (facts->neighbour == SH_PATH_NEIGHBOUR_THERE || (facts->view && facts->connections == 0))
        return SH_LINK_FIREWALL_DROP;
    return otherwise;
}

static enum sh_cause judge_refusal(const struct sh_path_facts *facts, enum sh_cause otherwise)
{
    if (facts->answer == SH_PATH_ICMP)
        return SH_LINK_FIREWALL_REJECT;
    if (!facts->view)
        return otherwise;
    return facts->listening ? SH_LINK_FIREWALL_REJECT : SH_LINK_NOT_LISTENING;
}

static enum sh_cause judge_connect(const struct sh_path_facts *facts, enum sh_cause otherwise)
{
    switch (facts->error) {
    case 0:
    case ETIMEDOUT:
        return judge_silence(facts, otherwise);
    case ECONNREFUSED:
        return judge_refusal(facts, otherwise);
    case EHOSTUNREACH:
        /* Our own kernel says it with an ICMP error too, but after it has asked for the neighbour for seconds. */
        if (facts->after >= SH_PATH_QUICK_MS || facts->neighbour == SH_PATH_NEIGHBOUR_SILENT)
            return SH_LINK_OUT_OF_REACH;
        return facts->answer == SH_PATH_ICMP ? SH_LINK_FIREWALL_REJECT : otherwise;
    default: /* no route, a route that forbids: said by the kernel itself */
        return otherwise;
    }
}

/* It is connected, and no answer to what was asked last came. */
static enum sh_cause judge_unanswered(const struct sh_path_facts *facts, enum sh_cause otherwise)
{
    if (facts->neighbour == SH_PATH_NEIGHBOUR_SILENT)
        return SH_LINK_OUT_OF_REACH;
    if (facts->zero_window || facts->pings_answered)
        return SH_LINK_PEER_HUNG;
    /* All is acknowledged, so it is not the way there; that it is not the way back is known only where no other link says that
     * its program lives. */
    if (facts->acked > 0 && facts->unacked == 0 && facts->mute >= SH_PATH_MUTE_MS)
        return SH_LINK_PEER_HUNG;
    return otherwise;
}

static enum sh_cause judge_probe(const struct sh_path_facts *facts, enum sh_cause otherwise)
{
    if (facts->small_answered)
        return SH_LINK_MTU;
    if (facts->acked == 0 && facts->unacked > SMALL_SEGMENT)
        return SH_LINK_MTU;
    return judge_unanswered(facts, otherwise);
}

enum sh_cause sh_path_judge(const struct sh_path_facts *facts, enum sh_cause otherwise)
{
    if (facts->phase == SH_PATH_NONE || sh_path_telling(otherwise) > sh_path_telling(SH_LINK_MTU))
        return otherwise;
    if (facts->route == SH_PATH_ROUTE_STOLEN)
        return SH_LINK_ROUTE_STOLEN;
    if (facts->phase == SH_PATH_CONNECT)
        return judge_connect(facts, otherwise);
    if (facts->closed)
        return facts->phase == SH_PATH_RUN ? SH_LINK_PEER_GONE : otherwise;
    if (!gone_silent(facts))
        return otherwise;
    return facts->phase == SH_PATH_PROBE ? judge_probe(facts, otherwise)
                                         : judge_unanswered(facts, otherwise);
}

bool sh_path_wants_view(const struct sh_path_facts *facts)
{
    struct sh_path_facts with = *facts;
    enum sh_cause without = sh_path_judge(facts, SH_OK);
    if (facts->view)
        return false;
    with.view = true;
    for (unsigned i = 0; i < 2; i++) {
        with.listening = i > 0;
        if (sh_path_judge(&with, SH_OK) != without)
            return true;
    }
    return false;
}

/* In the order of telling more; what is not here comes after a connection, from the other end or its keys, and tells most. */
static const enum sh_cause telling[] = {
    SH_OK,
    SH_LINK_UNREACHABLE,
    SH_LINK_TIMEOUT,
    SH_LINK_REFUSED,
    SH_LINK_STALLED,
    SH_CONNECT_LOST,
    /* Found by judging only: */
    SH_LINK_OUT_OF_REACH,
    SH_LINK_ROUTE_STOLEN,
    SH_LINK_FIREWALL_DROP,
    SH_LINK_NOT_LISTENING,
    SH_LINK_FIREWALL_REJECT,
    SH_LINK_PEER_GONE,
    SH_LINK_PEER_HUNG,
    SH_LINK_MTU,
};
#define FIRST_VERDICT 6

unsigned sh_path_telling(enum sh_cause cause)
{
    unsigned i = 0;
    while (i < SH_COUNT(telling) && telling[i] != cause)
        i++;
    return i;
}

bool sh_path_is_verdict(enum sh_cause cause)
{
    unsigned i = sh_path_telling(cause);
    return i >= FIRST_VERDICT && i < SH_COUNT(telling);
}
