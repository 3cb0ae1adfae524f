/** A profile that works on any cluster there is: it changes nothing of the host and brings one web server. */
export const profileStarter = `apiVersion: groundplane.dev/v1
kind: Profile
metadata:
  name: hello
  version: 1.0.0
spec:
  type: full
  description: An existing Kubernetes and one small web page
  variables:
    - name: greeting
      displayName: Greeting
      default: Hello from Groundplane
  layers:
    - name: kubernetes
      kind: kubernetes
      kubernetes:
        distribution: existing
    - name: hello
      kind: addon
      namespace: hello
      manifests:
        - name: page
          content: |
            apiVersion: v1
            kind: ConfigMap
            metadata:
              name: page
            data:
              index.html: "{{.spectro.var.greeting}}"
`;

export const clusterStarter = `apiVersion: groundplane.dev/v1
kind: Cluster
metadata:
  name: first
spec:
  # One infrastructure or full profile, then add-on profiles. Choose on the right.
  profiles: []
  variables: {}
  hosts: []
`;
