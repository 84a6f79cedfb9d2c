/**
 * @generated SignedSource<<b9a12ff0d72a8071a9469940a5e942fd>>
 * @lightSyntaxTransform
 */

/* tslint:disable */
/* eslint-disable */
// @ts-nocheck

import type { ConcreteRequest } from 'relay-runtime';
export type DeliveryStatus = "CANCELED" | "DELIVERED" | "FAILED" | "HELD" | "PENDING" | "RETRYING" | "SKIPPED" | "%future added value";
export type relayChangesSubscription$variables = {
  after?: string | null | undefined;
  endpointId: string;
};
export type relayChangesSubscription$data = {
  readonly deliveryChanges: {
    readonly changes: ReadonlyArray<{
      readonly delivery: {
        readonly attemptCount: number;
        readonly id: string;
        readonly status: DeliveryStatus;
      };
      readonly previousStatus: DeliveryStatus | null | undefined;
      readonly status: DeliveryStatus;
    }>;
    readonly cursor: string;
  };
};
export type relayChangesSubscription = {
  response: relayChangesSubscription$data;
  variables: relayChangesSubscription$variables;
};

const node: ConcreteRequest = (function(){
var v0 = {
  "defaultValue": null,
  "kind": "LocalArgument",
  "name": "after"
},
v1 = {
  "defaultValue": null,
  "kind": "LocalArgument",
  "name": "endpointId"
},
v2 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "status",
  "storageKey": null
},
v3 = [
  {
    "alias": null,
    "args": [
      {
        "kind": "Variable",
        "name": "after",
        "variableName": "after"
      },
      {
        "fields": [
          {
            "kind": "Variable",
            "name": "endpointId",
            "variableName": "endpointId"
          }
        ],
        "kind": "ObjectValue",
        "name": "filter"
      }
    ],
    "concreteType": "DeliveryChanges",
    "kind": "LinkedField",
    "name": "deliveryChanges",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "cursor",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "concreteType": "DeliveryChange",
        "kind": "LinkedField",
        "name": "changes",
        "plural": true,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "previousStatus",
            "storageKey": null
          },
          (v2/*:: as any*/),
          {
            "alias": null,
            "args": null,
            "concreteType": "Delivery",
            "kind": "LinkedField",
            "name": "delivery",
            "plural": false,
            "selections": [
              {
                "alias": null,
                "args": null,
                "kind": "ScalarField",
                "name": "id",
                "storageKey": null
              },
              (v2/*:: as any*/),
              {
                "alias": null,
                "args": null,
                "kind": "ScalarField",
                "name": "attemptCount",
                "storageKey": null
              }
            ],
            "storageKey": null
          }
        ],
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": [
      (v0/*:: as any*/),
      (v1/*:: as any*/)
    ],
    "kind": "Fragment",
    "metadata": null,
    "name": "relayChangesSubscription",
    "selections": (v3/*:: as any*/),
    "type": "Subscription",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": [
      (v1/*:: as any*/),
      (v0/*:: as any*/)
    ],
    "kind": "Operation",
    "name": "relayChangesSubscription",
    "selections": (v3/*:: as any*/)
  },
  "params": {
    "cacheID": "52aef7f7b2ee46e8aaed283bbe466d1b",
    "id": null,
    "metadata": {},
    "name": "relayChangesSubscription",
    "operationKind": "subscription",
    "text": "subscription relayChangesSubscription(\n  $endpointId: ID!\n  $after: String\n) {\n  deliveryChanges(filter: {endpointId: $endpointId}, after: $after) {\n    cursor\n    changes {\n      previousStatus\n      status\n      delivery {\n        id\n        status\n        attemptCount\n      }\n    }\n  }\n}\n"
  }
};
})();

(node as any).hash = "6c46876e8827f0fa5df4093cc70b9562";

export default node;
