/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Why a way over TCP does not work, an engine: facts in, the most precise cause that they prove out. path_look.h gathers
 * the facts on this machine; how the other end sees it comes over a link that works (LinkView).
 *
 * What tells which (each was measured between network namespaces):
 *   a reset in answer to a SYN         nobody listens, or a firewall that rejects so: only the other end knows
 *   an ICMP error in answer            a firewall that rejects, here or there
 *   silence, the neighbour is known    a firewall that drops, or the answer is lost
 *   silence, the neighbour is not      out of reach, or a network that keeps its devices apart
 *   the route leaves by an interface that is not the one of the address's network: somebody, a VPN mostly, took it
 *   acknowledged, but no answer        the kernel of the other end lives, its program does not get on
 *   not acknowledged though connected  a black hole for full segments, if it was one
 * What proves nothing more precise stays link.timeout, link.refused, link.unreachable or link.stalled.
 */
#ifndef SIMHOP_TRANSFER_PATH_H
#define SIMHOP_TRANSFER_PATH_H

#include "proto/base.h"
#include "proto/cause.h"

#define SH_PATH_QUICK_MS                                                                           \
    1000 /* the kernel itself gives up on a neighbour only after some three seconds */
#define SH_PATH_MUTE_MS 4000 /* without a word from the other end over any link */

enum sh_path_phase {
    SH_PATH_NONE,    /* nothing is known */
    SH_PATH_CONNECT, /* the connection was never made */
    SH_PATH_PROBE,   /* it was, and the link never came up */
    SH_PATH_RUN,     /* the link was up */
};

enum sh_path_answer { SH_PATH_SILENCE, SH_PATH_RESET, SH_PATH_ICMP };

enum sh_path_neighbour {
    SH_PATH_NEIGHBOUR_UNKNOWN, /* or there is none: the next hop is a router, a tunnel */
    SH_PATH_NEIGHBOUR_THERE,   /* it was heard lately */
    SH_PATH_NEIGHBOUR_SILENT,  /* it does not answer for its address */
};

enum sh_path_route { SH_PATH_ROUTE_UNKNOWN, SH_PATH_ROUTE_OURS, SH_PATH_ROUTE_STOLEN };

struct sh_path_facts {
    enum sh_path_phase phase;
    int error;   /* errno of connect or of the stream; 0: none came */
    sh_ms after; /* from connect to that; the time waited where none came */
    enum sh_path_answer answer;
    enum sh_path_neighbour neighbour;
    enum sh_path_route route;
    /* Of a connection that was made: */
    uint64_t acked;      /* octets of ours that the other end has acknowledged */
    unsigned unacked;    /* octets sent and not acknowledged */
    bool closed;         /* the other end ended it, or reset it */
    bool zero_window;    /* the other end takes nothing more */
    bool small_answered; /* the small probe was answered, the full-size one not */
    bool pings_answered; /* while nothing came of what was asked for */
    sh_ms mute;          /* since anything came from the other end over any link */
    /* The other end's view; not known: false, and the rest means nothing. */
    bool view, listening;
    unsigned connections; /* that it took on this kind of link, of whomever */
};

/* The cause for which a link of these facts failed. otherwise: what was seen, which stays where they prove nothing, or where it
 * tells more than any of this does (what the other end itself said, say). */
enum sh_cause sh_path_judge(const struct sh_path_facts *facts, enum sh_cause otherwise);

/* Would the other end's view change the judgement? */
bool sh_path_wants_view(const struct sh_path_facts *facts);

/* How much a cause of a link's failure tells, to keep the most telling of several: what came after a connection more than no
 * connection, what is proven more than what is not, a refusal more than silence, SH_OK nothing. */
unsigned sh_path_telling(enum sh_cause cause);
/* Is it one that only sh_path_judge finds? */
bool sh_path_is_verdict(enum sh_cause cause);

#endif
