/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile/fields.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"

bool sh_field_is_list(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default:
        return sizeof(uint32_t);
    }
}

size_t sh_value_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (sh_field_is_list(field))
        return *(const size_t *)member(message, field->quantifier_offset);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)member(message, field->offset) ? 1 : 0;
    return 1;
}

struct sh_value sh_value_get(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                             size_t i)
{
    struct sh_value value = {.schema = message->descriptor, .field = field};
    value.at = member(message, field->offset);
    if (sh_field_is_list(field))
        value.at = *(const char *const *)value.at + i * size_of(field);
    return value;
}

const char *sh_value_string(struct sh_value value)
{
    const char *s = *(const char *const *)value.at;
    return s ? s : "";
}

struct sh_bytes sh_value_bytes(struct sh_value value)
{
    const ProtobufCBinaryData *data = value.at;
    return SH_BYTES(data->data, data->len);
}

const ProtobufCMessage *sh_value_message(struct sh_value value)
{
    return *(const ProtobufCMessage *const *)value.at;
}

bool sh_value_is_empty(struct sh_value value)
{
    switch ((int)value.field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return sh_value_string(value)[0] == '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return sh_value_bytes(value).n == 0;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        return *(const uint64_t *)value.at == 0;
    default:
        return *(const uint32_t *)value.at == 0;
    }
}

bool sh_field_is(const ProtobufCMessageDescriptor *schema, const ProtobufCFieldDescriptor *field,
                 const ProtobufCMessageDescriptor *other, const char *name)
{
    return schema == other && strcmp(field->name, name) == 0;
}

bool sh_field_is_secret(const ProtobufCMessageDescriptor *schema,
                        const ProtobufCFieldDescriptor *field)
{
    return sh_field_is(schema, field, &simhop__activation_code__descriptor, "matching_id") ||
           sh_field_is(schema, field, &simhop__activation_code__descriptor,
                       "delete_notification") ||
           sh_field_is(schema, field, &simhop__apn__descriptor, "password") ||
           sh_field_is(schema, field, &simhop__acquisition__descriptor, "temporary_token");
}

/* Every value's name starts like that of value 0, which ends in UNSPECIFIED: protobuf's way of naming. */
static size_t prefix_length(const ProtobufCEnumDescriptor *schema)
{
    return strlen(schema->values[0].name) - strlen("UNSPECIFIED");
}

static void to_word(const ProtobufCEnumDescriptor *schema, const char *name, char *out, size_t size)
{
    size_t i = 0;
    for (const char *p = name + prefix_length(schema); *p && i + 1 < size; p++)
        out[i++] = (char)(*p == '_' ? '-' : tolower((unsigned char)*p));
    out[i] = '\0';
}

void sh_enum_word(const ProtobufCEnumDescriptor *schema, int value, char *out, size_t out_size)
{
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(schema, value);
    out[0] = '\0';
    if (found)
        to_word(schema, found->name, out, out_size);
}

bool sh_enum_by_word(const ProtobufCEnumDescriptor *schema, const char *word, int *ret_value)
{
    for (unsigned i = 0; i < schema->n_values; i++) {
        char each[64];
        to_word(schema, schema->values[i].name, each, sizeof(each));
        if (strcmp(each, word) == 0) {
            *ret_value = schema->values[i].value;
            return true;
        }
    }
    return false;
}

void sh_path(const char *parent, const ProtobufCFieldDescriptor *field, size_t i,
             char out[SH_PATH_MAX])
{
    const char *dot = parent[0] ? "." : "";
    if (sh_field_is_list(field))
        snprintf(out, SH_PATH_MAX, "%s%s%s[%zu]", parent, dot, field->name, i);
    else
        snprintf(out, SH_PATH_MAX, "%s%s%s", parent, dot, field->name);
}

static void wipe_value(struct sh_value value)
{
    if (value.field->type == PROTOBUF_C_TYPE_STRING) {
        char *s = *(char *const *)value.at;
        if (s && s != value.field->default_value)
            sh_wipe(s, strlen(s));
    } else if (value.field->type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = value.at;
        sh_wipe(data->data, data->len);
    } else if (value.field->type == PROTOBUF_C_TYPE_MESSAGE) {
        sh_message_wipe(*(ProtobufCMessage *const *)value.at);
    }
}

void sh_message_wipe(ProtobufCMessage *message)
{
    for (unsigned f = 0; f < message->descriptor->n_fields; f++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[f];
        size_t count = sh_value_count(message, field);
        for (size_t i = 0; i < count; i++)
            wipe_value(sh_value_get(message, field, i));
    }
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

enum sh_cause sh_activation_from_message(const Simhop__ActivationCode *message,
                                         struct sh_activation *ret_code)
{
    struct sh_activation code = {.confirmation_code_required = message->confirmation_code_required};
    sh_autofree char *text = NULL;
    bool fits =
        sh_strcopy(code.smdp_address, sizeof(code.smdp_address), or_empty(message->smdp_address)) &&
        sh_strcopy(code.matching_id, sizeof(code.matching_id), or_empty(message->matching_id)) &&
        sh_strcopy(code.smdp_oid, sizeof(code.smdp_oid), or_empty(message->smdp_oid)) &&
        sh_strcopy(code.ci_pk_indicator, sizeof(code.ci_pk_indicator),
                   or_empty(message->ci_pk_indicator)) &&
        sh_strcopy(code.delete_notification, sizeof(code.delete_notification),
                   or_empty(message->delete_notification));
    enum sh_cause cause = fits ? sh_activation_format(&code, &text)
                               : sh_fail(SH_ACTIVATION_BAD_CODE, "a field is too long");
    if (text)
        sh_wipe(text, strlen(text));
    if (cause == SH_OK)
        *ret_code = code;
    sh_wipe(&code, sizeof(code));
    return cause;
}

/* A copy in *at, or the default "" left as it is; false without memory. */
static bool set_string(char **at, const char *s)
{
    if (!s[0])
        return true;
    char *copy = strdup(s);
    if (copy)
        *at = copy;
    return copy != NULL;
}

enum sh_cause sh_activation_to_message(const struct sh_activation *code,
                                       Simhop__ActivationCode **ret_message)
{
    Simhop__ActivationCode *message = malloc(sizeof(*message));
    if (!message)
        return SH_ENV_NO_MEMORY;
    simhop__activation_code__init(message);
    message->confirmation_code_required = code->confirmation_code_required;
    if (!set_string(&message->smdp_address, code->smdp_address) ||
        !set_string(&message->matching_id, code->matching_id) ||
        !set_string(&message->smdp_oid, code->smdp_oid) ||
        !set_string(&message->ci_pk_indicator, code->ci_pk_indicator) ||
        !set_string(&message->delete_notification, code->delete_notification)) {
        sh_message_wipe(&message->base);
        sh_msg_free(&message->base);
        return SH_ENV_NO_MEMORY;
    }
    *ret_message = message;
    return SH_OK;
}
