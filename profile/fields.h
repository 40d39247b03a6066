/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fields of a bundle by their descriptors (what protobuf-c generates beside the structs), so that reading,
 * writing, checking and wiping need not name each of them. Only what proto3 has in simhop.proto is known here:
 * bool, uint32, uint64, int64, sint32, enumerations, strings, bytes, messages, and lists of them.
 */
#ifndef SIMHOP_PROFILE_FIELDS_H
#define SIMHOP_PROFILE_FIELDS_H

#include <protobuf-c/protobuf-c.h>

#include "profile/activation_code.h"
#include "profile/bundle.h"

#define SH_PATH_MAX 128

/* One value: where it lies in a message. */
struct sh_value {
    const ProtobufCMessageDescriptor *schema;
    const ProtobufCFieldDescriptor *field;
    const void *at;
};

/* How many values the field has here: the length of a list; else 1, or 0 for a message that is not set. */
size_t sh_value_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* The i-th of them. */
struct sh_value sh_value_get(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                             size_t i);
bool sh_field_is_list(const ProtobufCFieldDescriptor *field);

const char *sh_value_string(struct sh_value value);
struct sh_bytes sh_value_bytes(struct sh_value value);
const ProtobufCMessage *sh_value_message(struct sh_value value);
/* 0 or "": what proto3 does not tell from "not said". Not for messages. */
bool sh_value_is_empty(struct sh_value value);

/* Is it the field `name` of this schema? */
bool sh_field_is(const ProtobufCMessageDescriptor *schema, const ProtobufCFieldDescriptor *field,
                 const ProtobufCMessageDescriptor *other, const char *name);
/* Matching ids, delete notifications, APN passwords and temporary tokens: not shown unless asked for. */
bool sh_field_is_secret(const ProtobufCMessageDescriptor *schema,
                        const ProtobufCFieldDescriptor *field);

/* The word for a value of an enumeration: "companion-shared-number"; "" for one that is not in it. */
void sh_enum_word(const ProtobufCEnumDescriptor *schema, int value, char *out, size_t out_size);
bool sh_enum_by_word(const ProtobufCEnumDescriptor *schema, const char *word, int *ret_value);

/* "lines[2].apns[0].name" for the detail of a cause. i is ignored where the field is no list. */
void sh_path(const char *parent, const ProtobufCFieldDescriptor *field, size_t i,
             char out[SH_PATH_MAX]);

/* Overwrites every string and all bytes in the message; it can only be freed afterwards. */
void sh_message_wipe(ProtobufCMessage *message);

/* The activation code of a bundle as the struct of activation_code.h, and back (into fresh fields of *ret_message).
 * Fail with activation.bad-code, env.no-memory.  */
SH_MUST_USE enum sh_cause sh_activation_from_message(const Simhop__ActivationCode *message,
                                                     struct sh_activation *ret_code);
SH_MUST_USE enum sh_cause sh_activation_to_message(const struct sh_activation *code,
                                                   Simhop__ActivationCode **ret_message);

/* As text, the matching id shown only with reveal: "LPA:1$address$(hidden)". *ret_text is freed with sh_free_secret. */
SH_MUST_USE enum sh_cause sh_bundle_code_text(const Simhop__ActivationCode *message, bool reveal,
                                              char **ret_text);

#endif
